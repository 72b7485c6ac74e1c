//! The model store's tables in IndexedDB, as [`loader::record`] describes them.

use futures_util::FutureExt;
use js_sys::{Array, Promise, Uint8Array};
use loader::record::{ChunkId, JournalEntry, LAYOUT, Record};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    IdbDatabase, IdbKeyRange, IdbObjectStore, IdbOpenDbRequest, IdbRequest, IdbTransaction,
    IdbTransactionMode,
};

use super::{Failure, Read, Tables, Written, explain};
use crate::io::globals::{describe, indexed_db};

/// Name of the database. One for all applications of an origin: they share models.
const NAME: &str = "minnow";
const MODELS: &str = "models";
const CHUNKS: &str = "chunks";
const JOURNAL: &str = "journal";

/// An open connection; dropping it closes it.
pub(super) struct IndexedDb {
    connection: IdbDatabase,
    /// Closes the connection when another tab has a newer layout and waits for this one.
    _close: Closure<dyn FnMut(JsValue)>,
}

impl IndexedDb {
    /// Opens the store, making it first if need be.
    pub(super) async fn open() -> Result<Self, Failure> {
        let factory = indexed_db().ok_or("this browser has no IndexedDB here")?;
        let request = factory
            .open_with_u32(NAME, LAYOUT)
            .map_err(|error| describe(&error))?;
        let mut opening = Opening::new(request);
        let result = done(Ok(opening.request.clone().into())).await;
        opening.make_tables = None;
        let database: IdbDatabase = result?.unchecked_into();
        let connection = database.clone();
        let close = Closure::new(move |_event: JsValue| connection.close());
        database.set_onversionchange(Some(close.as_ref().unchecked_ref()));
        Ok(Self {
            connection: database,
            _close: close,
        })
    }

    fn table(&self, name: &str) -> Result<IdbObjectStore, Failure> {
        let table = || {
            self.connection
                .transaction_with_str(name)?
                .object_store(name)
        };
        table().map_err(|error| describe(&error))
    }

    /// Runs `change` on the tables `names` in one transaction.
    fn write(
        &self,
        names: &[&str],
        change: &dyn Fn(&[IdbObjectStore]) -> Result<(), JsValue>,
    ) -> Written {
        let begin = || {
            let list: Array = names.iter().map(|name| JsValue::from_str(name)).collect();
            let mode = IdbTransactionMode::Readwrite;
            let transaction = self
                .connection
                .transaction_with_str_sequence_and_mode(&list, mode)?;
            let tables: Result<Vec<_>, _> = names
                .iter()
                .map(|name| transaction.object_store(name))
                .collect();
            change(&tables?)?;
            let end = Promise::new(&mut |resolve, reject| {
                transaction.set_oncomplete(Some(&resolve));
                transaction.set_onabort(Some(&reject));
            });
            // It has all that it is for; by itself it would end a round trip later.
            #[expect(deprecated, reason = "web-sys calls it so; no standard does")]
            transaction.commit()?;
            Ok((transaction, end))
        };
        let begun: Result<(IdbTransaction, Promise), JsValue> = begin();
        let end = async move {
            let (transaction, end) = begun.map_err(|error| describe(&error))?;
            match JsFuture::from(end).await {
                Ok(_) => Ok(()),
                // The event carries no reason; the transaction does.
                Err(_) => Err(transaction
                    .error()
                    .map_or_else(unexplained, |error| explain(&error))),
            }
        };
        end.boxed_local()
    }
}

/// Answers an event of the database's.
type Handler = Closure<dyn FnMut(JsValue) -> Result<(), JsValue>>;

/// A request to open the database.
struct Opening {
    request: IdbOpenDbRequest,
    /// What a new database is made by; nothing once the request is over.
    make_tables: Option<Handler>,
}

impl Opening {
    fn new(request: IdbOpenDbRequest) -> Self {
        let upgrade = request.clone();
        // Layouts differ in their records alone, which are migrated as they are read: no table has to be changed, and an upgrade
        // in which nothing is moved cannot be interrupted. A version of Minnow that knows only an earlier layout fails
        // to open the database from then on, and does without.
        let make_tables = Closure::once(move |_event: JsValue| -> Result<(), JsValue> {
            let database: IdbDatabase = upgrade.result()?.unchecked_into();
            for table in [MODELS, CHUNKS, JOURNAL] {
                if !database.object_store_names().contains(table) {
                    database.create_object_store(table)?;
                }
            }
            Ok(())
        });
        request.set_onupgradeneeded(Some(make_tables.as_ref().unchecked_ref()));
        Self {
            request,
            make_tables: Some(make_tables),
        }
    }
}

impl Drop for Opening {
    /// A request cannot be taken back: what comes of it late is made as it should be, and closed.
    fn drop(&mut self) {
        let Some(make_tables) = self.make_tables.take() else {
            return;
        };
        make_tables.forget();
        let request = self.request.clone();
        let close = Closure::once_into_js(move || {
            if let Ok(database) = request.result() {
                database.unchecked_into::<IdbDatabase>().close();
            }
        });
        self.request.set_onsuccess(Some(close.unchecked_ref()));
    }
}

impl Tables for IndexedDb {
    fn records(&self) -> Read<'_, Vec<Record>> {
        async {
            let models = self.table(MODELS)?;
            let values = all(models.get_all()).await?;
            // A record that cannot be read is of no use to anybody; the model is then simply not there.
            Ok(values
                .iter()
                .filter_map(|value| from_js::<Record>(value).ok()?.migrated())
                .collect())
        }
        .boxed_local()
    }

    fn journal<'a>(&'a self, id: &'a str) -> Read<'a, Vec<JournalEntry>> {
        async {
            let journal = self.table(JOURNAL)?;
            let values =
                all(model_keys(id).and_then(|keys| journal.get_all_with_key(&keys))).await?;
            Ok(values
                .iter()
                .filter_map(|value| from_js(value).ok())
                .collect())
        }
        .boxed_local()
    }

    fn chunk<'a>(&'a self, id: &'a str, chunk: ChunkId) -> Read<'a, Option<Uint8Array>> {
        async move {
            let chunks = self.table(CHUNKS)?;
            let value = done(chunks.get(&chunk_key(id, chunk))).await?;
            Ok(value.dyn_into().ok())
        }
        .boxed_local()
    }

    fn put_record(&self, record: &Record) -> Written {
        let key = JsValue::from_str(&record.id);
        self.write(&[MODELS], &|tables| {
            tables[0].put_with_key(&to_js(record)?, &key)?;
            Ok(())
        })
    }

    fn put_chunk(&self, id: &str, entry: &JournalEntry, bytes: &[u8]) -> Written {
        let key = chunk_key(id, entry.chunk);
        self.write(&[JOURNAL, CHUNKS], &|tables| {
            tables[1].put_with_key(&Uint8Array::from(bytes), &key)?;
            tables[0].put_with_key(&to_js(entry)?, &key)?;
            Ok(())
        })
    }

    fn put_entries(&self, id: &str, entries: &[JournalEntry]) -> Written {
        self.write(&[JOURNAL], &|tables| {
            for entry in entries {
                tables[0].put_with_key(&to_js(entry)?, &chunk_key(id, entry.chunk))?;
            }
            Ok(())
        })
    }

    fn remove_chunk(&self, id: &str, chunk: ChunkId) -> Written {
        let key = chunk_key(id, chunk);
        self.write(&[CHUNKS, JOURNAL], &|tables| {
            tables[0].delete(&key)?;
            tables[1].delete(&key)?;
            Ok(())
        })
    }

    fn remove(&self, id: &str) -> Written {
        self.write(&[MODELS, CHUNKS, JOURNAL], &|tables| {
            let keys = model_keys(id)?;
            tables[0].delete(&JsValue::from_str(id))?;
            tables[1].delete(&keys)?;
            tables[2].delete(&keys)?;
            Ok(())
        })
    }
}

impl Drop for IndexedDb {
    fn drop(&mut self) {
        self.connection.set_onversionchange(None);
        self.connection.close();
    }
}

/// Waits for a request and gives its result.
async fn done(request: Result<IdbRequest, JsValue>) -> Result<JsValue, Failure> {
    let request = request.map_err(|error| describe(&error))?;
    let promise = Promise::new(&mut |resolve, reject| {
        request.set_onsuccess(Some(&resolve));
        request.set_onerror(Some(&reject));
    });
    match JsFuture::from(promise).await {
        Ok(_) => request.result().map_err(|error| describe(&error)),
        Err(_) => Err(match request.error() {
            Ok(Some(error)) => explain(&error),
            _ => unexplained(),
        }),
    }
}

/// Waits for a request for many values.
async fn all(request: Result<IdbRequest, JsValue>) -> Result<Array, Failure> {
    Ok(done(request).await?.unchecked_into())
}

fn unexplained() -> Failure {
    "the browser's storage failed without saying why".to_owned()
}

fn chunk_key(id: &str, chunk: ChunkId) -> JsValue {
    Array::of3(&id.into(), &chunk.part.into(), &chunk.index.into()).into()
}

/// The keys of all of a model's chunks: in IndexedDB's order an array comes after every number.
fn model_keys(id: &str) -> Result<JsValue, JsValue> {
    let (lower, upper) = (
        Array::of1(&id.into()),
        Array::of2(&id.into(), &Array::new()),
    );
    IdbKeyRange::bound(&lower, &upper).map(JsValue::from)
}

fn to_js(value: &impl Serialize) -> Result<JsValue, JsValue> {
    Ok(serde_wasm_bindgen::to_value(value)?)
}

fn from_js<T: DeserializeOwned>(value: JsValue) -> Result<T, serde_wasm_bindgen::Error> {
    serde_wasm_bindgen::from_value(value)
}
