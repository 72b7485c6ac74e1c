//! The model store in IndexedDB: the three tables of [`loader::record`].

use js_sys::{Array, Promise, Uint8Array};
use loader::record::{ChunkId, JournalEntry, LAYOUT, Record, Stored};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DomException, IdbDatabase, IdbKeyRange, IdbObjectStore, IdbRequest, IdbTransaction,
    IdbTransactionMode,
};

use super::globals::{describe, indexed_db};
use crate::{Error, ErrorCode};

/// Name of the database. One for all applications of an origin: they share models.
const NAME: &str = "minnow";
const MODELS: &str = "models";
const CHUNKS: &str = "chunks";
const JOURNAL: &str = "journal";

/// What the browser calls a full store.
const QUOTA_EXCEEDED: &str = "QuotaExceededError";

/// Why the store did not do what was asked, for people.
pub(super) type Failure = String;

/// Whether a change took effect.
pub(super) type Written = Result<(), Failure>;

/// The error that a failure of the store is where a call cannot do without it.
pub(super) fn store_failed(reason: String) -> Error {
    let full = reason.contains(QUOTA_EXCEEDED);
    let code = if full {
        ErrorCode::QuotaExceeded
    } else {
        ErrorCode::UnsupportedBrowser
    };
    Error::new(
        code,
        format!(
            "the model store cannot be used ({reason}); load with store: false to do without it"
        ),
    )
}

/// An open connection; dropping it closes it.
pub(super) struct Database {
    connection: IdbDatabase,
    /// Closes the connection when another tab has a newer layout and waits for this one.
    _close: Closure<dyn FnMut(JsValue)>,
}

impl Database {
    /// Opens the store, making it first if need be.
    pub(super) async fn open() -> Result<Self, Failure> {
        let factory = indexed_db().ok_or("this browser has no IndexedDB here")?;
        let request = factory
            .open_with_u32(NAME, LAYOUT)
            .map_err(|error| describe(&error))?;
        let upgrade = request.clone();
        // A store of another layout is emptied: models can be had again.
        let make_tables = Closure::once(move |_event: JsValue| -> Result<(), JsValue> {
            let database: IdbDatabase = upgrade.result()?.unchecked_into();
            for table in [MODELS, CHUNKS, JOURNAL] {
                if database.object_store_names().contains(table) {
                    database.delete_object_store(table)?;
                }
                database.create_object_store(table)?;
            }
            Ok(())
        });
        request.set_onupgradeneeded(Some(make_tables.as_ref().unchecked_ref()));
        let database: IdbDatabase = done(&request).await?.unchecked_into();
        let connection = database.clone();
        let close = Closure::new(move |_event: JsValue| connection.close());
        database.set_onversionchange(Some(close.as_ref().unchecked_ref()));
        Ok(Self {
            connection: database,
            _close: close,
        })
    }

    /// Every model's record.
    pub(super) async fn records(&self) -> Result<Vec<Record>, Failure> {
        let models = self.table(MODELS)?;
        let values: Array = done(&models.get_all().map_err(|error| describe(&error))?)
            .await?
            .unchecked_into();
        // A record that cannot be read is of no use to anybody; the model is then simply not there.
        Ok(values
            .iter()
            .filter_map(|value| from_js(value).ok())
            .collect())
    }

    /// One model's record and journal.
    pub(super) async fn stored(&self, id: &str) -> Result<Option<Stored>, Failure> {
        let models = self.table(MODELS)?;
        let value = done(
            &models
                .get(&JsValue::from_str(id))
                .map_err(|error| describe(&error))?,
        )
        .await?;
        let Ok(record) = from_js::<Record>(value) else {
            return Ok(None);
        };
        let journal = self.journal(id).await?;
        Ok(Some(Stored { record, journal }))
    }

    /// What is noted of a model's chunks.
    pub(super) async fn journal(&self, id: &str) -> Result<Vec<JournalEntry>, Failure> {
        let journal = self.table(JOURNAL)?;
        let request = model_keys(id).and_then(|keys| journal.get_all_with_key(&keys));
        let request = request.map_err(|error| describe(&error))?;
        let values: Array = done(&request).await?.unchecked_into();
        Ok(values
            .iter()
            .filter_map(|value| from_js(value).ok())
            .collect())
    }

    /// A chunk's bytes, in the browser's memory; `None` if it is not there.
    pub(super) async fn chunk(
        &self,
        id: &str,
        chunk: ChunkId,
    ) -> Result<Option<Uint8Array>, Failure> {
        let chunks = self.table(CHUNKS)?;
        let value = done(
            &chunks
                .get(&chunk_key(id, chunk))
                .map_err(|error| describe(&error))?,
        )
        .await?;
        Ok(value.dyn_into().ok())
    }

    /// Stores a chunk and its journal entry, both or neither. Like every change here it is begun at once and takes
    /// effect in the order of the calls; the future only waits.
    pub(super) fn put_chunk(
        &self,
        id: &str,
        entry: &JournalEntry,
        bytes: &Uint8Array,
    ) -> impl Future<Output = Written> + use<> {
        let key = chunk_key(id, entry.chunk);
        self.write(&[CHUNKS, JOURNAL], &|tables| {
            tables[0].put_with_key(bytes, &key)?;
            tables[1].put_with_key(&to_js(entry)?, &key)
        })
    }

    /// Drops a chunk and its journal entry.
    pub(super) fn remove_chunk(
        &self,
        id: &str,
        chunk: ChunkId,
    ) -> impl Future<Output = Written> + use<> {
        let key = chunk_key(id, chunk);
        self.write(&[CHUNKS, JOURNAL], &|tables| {
            tables[0].delete(&key)?;
            tables[1].delete(&key)
        })
    }

    /// Stores a model's record.
    pub(super) fn put_record(&self, record: &Record) -> impl Future<Output = Written> + use<> {
        let key = JsValue::from_str(&record.id);
        self.write(&[MODELS], &|tables| {
            tables[0].put_with_key(&to_js(record)?, &key)
        })
    }

    /// Removes a model with everything that belongs to it.
    pub(super) fn remove(&self, id: &str) -> impl Future<Output = Written> + use<> {
        self.write(&[MODELS, CHUNKS, JOURNAL], &|tables| {
            let keys = model_keys(id)?;
            tables[0].delete(&JsValue::from_str(id))?;
            tables[1].delete(&keys)?;
            tables[2].delete(&keys)
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
        change: &dyn Fn(&[IdbObjectStore]) -> Result<IdbRequest, JsValue>,
    ) -> impl Future<Output = Written> + use<> {
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
            Ok((transaction, end))
        };
        let begun: Result<(IdbTransaction, Promise), JsValue> = begin();
        async move {
            let (transaction, end) = begun.map_err(|error| describe(&error))?;
            match JsFuture::from(end).await {
                Ok(_) => Ok(()),
                // The event carries no reason; the transaction does.
                Err(_) => Err(transaction
                    .error()
                    .map_or_else(unexplained, |error| explain(&error))),
            }
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.connection.set_onversionchange(None);
        self.connection.close();
    }
}

/// Waits for a request and gives its result.
async fn done(request: &IdbRequest) -> Result<JsValue, Failure> {
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

fn explain(error: &DomException) -> Failure {
    match (error.name().as_str(), error.message()) {
        (QUOTA_EXCEEDED, _) => format!("the browser's storage is full: {QUOTA_EXCEEDED}"),
        (name, message) => format!("{name}: {message}"),
    }
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
