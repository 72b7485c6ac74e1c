//! Carries out what a plan asks for, and tells it what came of it.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::rc::Rc;

use engine::Clock as _;
use futures_util::future::{Either, LocalBoxFuture, select};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use loader::download::{Action, Event, Piece, Summary, Token};
use loader::{ChunkHasher, Download, Response};
use web_sys::AbortSignal;

use super::abort;
use super::body::{Body, Failure};
use super::buffers::{Buffer, Buffers};
use super::costs::Costs;
use super::fetch::Fetcher;
use super::globals::{self, Sleep};
use super::meter::Meter;
use super::models::make_room;
use super::quota::{self, Estimate};
use super::store::{self, Shelf, Store, Unnoted};
use super::types::{Progress, TensorSink};
use crate::Error;
use crate::clock::Performance;

/// A wait for what comes next, in milliseconds, that shows that bytes come slower than they are made use of.
const IDLE_MS: f64 = 2.0;

/// What a load works with.
pub(super) struct Means<'a> {
    pub(super) fetcher: &'a Fetcher<'a>,
    pub(super) store: &'a Store,
    /// The model's place in the store.
    pub(super) shelf: &'a Shelf,
    /// Whether other models may be removed for it.
    pub(super) evict: bool,
    /// What the browser says of its storage, where that has been asked already.
    pub(super) estimate: Cell<Option<LocalBoxFuture<'static, Estimate>>>,
    pub(super) progress: &'a dyn Fn(Progress),
    pub(super) signal: Option<&'a AbortSignal>,
    pub(super) costs: &'a Costs,
}

/// What a task came to.
enum Done {
    /// The caller's signal.
    Aborted,
    /// There is no network, and never was.
    Offline {
        reason: String,
    },
    Event(Event),
    /// A change of the store, with the event it is to be told as, if any.
    Changed(Option<Event>),
    /// A chunk is in the store, and so is its journal entry unless it is to be noted.
    Written {
        token: Token,
        result: Result<Option<Unnoted>, store::Failure>,
    },
    Opened {
        token: Token,
        result: Result<(Response, Body), Failure>,
    },
    Received {
        token: Token,
        fetch: Token,
        body: Body,
        result: Result<Buffer, Failure>,
    },
    Read {
        token: Token,
        found: Option<Buffer>,
    },
}

struct Driver<'a> {
    means: &'a Means<'a>,
    meter: &'a Meter<'a>,
    tasks: FuturesUnordered<LocalBoxFuture<'a, Done>>,
    /// Bodies that nobody is reading at the moment.
    bodies: HashMap<Token, Body>,
    /// Requests that the plan has not closed.
    open: HashSet<Token>,
    /// What has been received or read and not been released.
    held: HashMap<Token, Rc<Buffer>>,
    buffers: Buffers,
    hasher: ChunkHasher,
    /// Changes of the store that are under way.
    changes: usize,
    /// Whether anything has been answered.
    reached: bool,
}

/// Runs `plan` to its end. Dropping the future ends every request; what has been written stays good.
pub(super) async fn run(
    mut plan: Download,
    means: &Means<'_>,
    sink: &mut dyn TensorSink,
) -> Result<Summary, Error> {
    let meter = Meter::new(means.progress);
    let mut driver = Driver {
        means,
        meter: &meter,
        tasks: FuturesUnordered::new(),
        bodies: HashMap::new(),
        open: HashSet::new(),
        held: HashMap::new(),
        buffers: Buffers::default(),
        hasher: plan.hasher(),
        changes: 0,
        reached: false,
    };
    let signal = means.signal.cloned();
    driver.tasks.push(Box::pin(async {
        abort::fired(signal).await;
        Done::Aborted
    }));
    let mut idle = false;
    loop {
        if sink.hurries() {
            plan.hurry();
        }
        while let Some(action) = plan.poll() {
            match action {
                Action::Judge => {
                    means.costs.in_header(|| sink.headers(plan.headers()))?;
                    plan.accept();
                }
                Action::Deliver { bytes } => {
                    if let Some(bytes) = driver.held.get(&bytes) {
                        means.costs.in_delivery(|| {
                            plan.deliver(bytes, |name, bytes| {
                                means.costs.in_weights(|| sink.tensor(name, bytes))
                            })
                        })?;
                    }
                }
                Action::Save { token } => {
                    let saved = means.shelf.put_record(&plan.record());
                    driver.store(token, saved);
                }
                other => driver.begin(other),
            }
            meter.update(&plan);
        }
        if let Some(outcome) = plan.outcome()
            && driver.changes == 0
        {
            meter.last();
            return Ok(outcome?);
        }
        let worked = means
            .costs
            .in_delivery(|| means.costs.in_weights(|| sink.work(idle)))?;
        let began = Performance.now_ms();
        // The signal's task is always there, so there is always a next.
        let next = driver.tasks.next();
        let done = match worked {
            // Whatever has happened meanwhile is found behind a turn of the event loop.
            true => match select(next, pin!(Sleep::ms(0.0).wait())).await {
                Either::Left((done, _)) => done,
                Either::Right(_) => None,
            },
            false => next.await,
        };
        idle = Performance.now_ms() - began > IDLE_MS;
        if let Some(done) = done
            && let Some(event) = driver.settle(done)?
        {
            plan.handle(event, Performance.now_ms());
        }
    }
}

impl<'a> Driver<'a> {
    fn begin(&mut self, action: Action) {
        let means = self.means;
        match action {
            Action::Reserve { token, bytes } => {
                let asked = means.estimate.take();
                let estimate = asked.unwrap_or_else(|| quota::estimate().boxed_local());
                self.task(async move {
                    let estimate = estimate.await;
                    let room = make_room(means.store, means.shelf, bytes, estimate, means.evict);
                    Done::Event(Event::Reserved {
                        token,
                        granted: room.await,
                    })
                });
            }
            Action::Fetch { token, request } => {
                self.open.insert(token);
                self.task(async move {
                    Done::Opened {
                        token,
                        result: means.fetcher.open(&request).await,
                    }
                });
            }
            Action::Receive {
                token,
                fetch,
                skip,
                length,
            } => {
                if let Some(body) = self.bodies.remove(&fetch) {
                    self.receive(body, token, fetch, (skip, length));
                }
            }
            Action::Close { fetch } => {
                self.open.remove(&fetch);
                self.bodies.remove(&fetch);
            }
            Action::Read {
                token,
                chunk,
                length,
            } => {
                let buffers = self.buffers.clone();
                self.task(async move {
                    let mut bytes = buffers.take(length);
                    let read = means.shelf.read(chunk, &mut bytes);
                    let found = means.costs.in_store(read).await;
                    let found = found.is_ok_and(|found| found).then_some(bytes);
                    Done::Read { token, found }
                });
            }
            Action::Write {
                token,
                entry,
                bytes,
            } => {
                // What the plan has written it has not released.
                if let Some(bytes) = self.held.get(&bytes) {
                    let written = means.shelf.put_chunk(&entry, bytes.clone());
                    self.changes += 1;
                    self.task(async move {
                        let result = means.costs.in_store(written).await;
                        Done::Written { token, result }
                    });
                }
            }
            Action::Forget => {
                let removed = means.shelf.remove();
                self.change(async {
                    // What could not be removed is still marked incomplete, and checked when it is read.
                    let _ = removed.await;
                    None
                });
            }
            Action::Release { bytes } => {
                self.held.remove(&bytes);
            }
            Action::Wait { token, ms, reason } => {
                if !self.reached && !globals::is_online() {
                    return self.task(async move { Done::Offline { reason } });
                }
                self.task(async move {
                    // A wait of minutes fits a double.
                    Sleep::ms(ms as f64).wait().await;
                    globals::online().await;
                    Done::Event(Event::Woke { token })
                });
            }
            // The loop sees to these itself.
            Action::Judge | Action::Deliver { .. } | Action::Save { .. } => {}
        }
    }

    fn receive(&mut self, mut body: Body, token: Token, fetch: Token, (skip, length): (u64, u32)) {
        let (meter, buffers) = (self.meter, self.buffers.clone());
        self.task(async move {
            let mut arriving = meter.arriving();
            let mut count = |bytes| arriving.add(bytes);
            let mut bytes = buffers.take(length);
            let gathered = body.gather(skip, &mut bytes, &mut count).await;
            let result = gathered.map(|length| {
                bytes.truncate(length);
                bytes
            });
            Done::Received {
                token,
                fetch,
                body,
                result,
            }
        });
    }

    /// Takes note of a finished task; gives what the plan is to be told.
    fn settle(&mut self, done: Done) -> Result<Option<Event>, Error> {
        match done {
            Done::Aborted => Err(Error::Aborted),
            Done::Offline { reason } => Err(globals::offline(&reason)),
            Done::Event(event) => Ok(Some(event)),
            Done::Changed(event) => {
                self.changes -= 1;
                Ok(event)
            }
            Done::Written {
                token,
                result: Ok(Some(unnoted)),
            } => {
                self.changes -= 1;
                self.store(token, self.means.shelf.note(unnoted));
                Ok(Some(Event::Written { token }))
            }
            Done::Written { token, result } => {
                self.changes -= 1;
                let result = result.map(drop);
                Ok(Some(Event::Stored { token, result }))
            }
            Done::Opened {
                token,
                result: Ok((response, body)),
            } => {
                self.reached = true;
                if self.open.contains(&token) {
                    self.bodies.insert(token, body);
                }
                Ok(Some(Event::Response { token, response }))
            }
            Done::Opened {
                token,
                result: Err(failure),
            } => Ok(Some(failed(token, failure))),
            Done::Received {
                token,
                fetch,
                body,
                result,
            } => {
                if self.open.contains(&fetch) {
                    self.bodies.insert(fetch, body);
                }
                Ok(Some(match result {
                    Ok(bytes) => {
                        let piece = self.hold(token, bytes);
                        Event::Received { token, piece }
                    }
                    Err(failure) => failed(token, failure),
                }))
            }
            Done::Read { token, found } => {
                let piece = found.map(|bytes| self.hold(token, bytes));
                Ok(Some(Event::Read { token, piece }))
            }
        }
    }

    /// Keeps bytes until the plan lets go of them, and says what the plan is to know of them.
    fn hold(&mut self, token: Token, bytes: Buffer) -> Piece {
        let piece = Piece {
            // As long as was asked for at most, a u32.
            length: bytes.len() as u32,
            digest: self.means.costs.in_hash(|| self.hasher.hash(&bytes)),
        };
        self.held.insert(token, Rc::new(bytes));
        piece
    }

    fn task(&mut self, task: impl Future<Output = Done> + 'a) {
        self.tasks.push(Box::pin(task));
    }

    fn store(&mut self, token: Token, written: store::Written) {
        let costs = self.means.costs;
        self.change(async move {
            Some(Event::Stored {
                token,
                result: costs.in_store(written).await,
            })
        });
    }

    fn change(&mut self, change: impl Future<Output = Option<Event>> + 'a) {
        self.changes += 1;
        self.task(async { Done::Changed(change.await) });
    }
}

fn failed(token: Token, failure: Failure) -> Event {
    Event::Failed {
        token,
        reason: failure.reason,
        permanent: failure.permanent,
    }
}
