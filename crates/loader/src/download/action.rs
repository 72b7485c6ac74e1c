//! What a download asks for, and what it is told.

use crate::ChunkHash;
use crate::files::Location;
use crate::record::{ChunkId, JournalEntry};
use crate::response::Response;

/// Ties an [`Event`] to the [`Action`] it answers.
pub type Token = u64;

/// Something for the driver to do. Actions are begun in the order given; they may end in any order, except
/// that what they do to the store must take effect in order. Every action with a token is answered by one event.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// See whether `bytes` more can be stored, and ask the browser to keep them. Answer: [`Event::Reserved`].
    Reserve {
        /// Names the answer.
        token: Token,
        /// Bytes still to be stored.
        bytes: u64,
    },
    /// Send a request and wait for the answer's head. Answer: [`Event::Response`] or [`Event::Failed`].
    Fetch {
        /// Names the answer, and from then on the body.
        token: Token,
        /// What to ask for.
        request: Request,
    },
    /// Take `skip` bytes of a body and drop them, then gather `length` bytes, or fewer if it ends. What was gathered is
    /// held under this token until [`Action::Release`]. Answer: [`Event::Received`] or [`Event::Failed`].
    Receive {
        /// Names the answer and what was gathered.
        token: Token,
        /// Which body.
        fetch: Token,
        /// Bytes to drop first.
        skip: u64,
        /// Bytes to gather.
        length: u32,
    },
    /// A body is not needed any more.
    Close {
        /// Which body.
        fetch: Token,
    },
    /// Read a chunk back and hold it under this token until [`Action::Release`]. Answer: [`Event::Read`].
    Read {
        /// Names the answer and the chunk's bytes.
        token: Token,
        /// Which chunk.
        chunk: ChunkId,
        /// Its bytes.
        length: u32,
    },
    /// Store a chunk and its journal entry: both or neither, or the chunk first. A release of its bytes may follow at once.
    /// Answer: [`Event::Stored`], before which there may be an [`Event::Written`].
    Write {
        /// Names the answer.
        token: Token,
        /// The chunk and what to note of it.
        entry: JournalEntry,
        /// Names the chunk's bytes.
        bytes: Token,
    },
    /// Store [`super::Download::record`] as it is now. Answer: [`Event::Stored`].
    Save {
        /// Names the answer.
        token: Token,
    },
    /// Remove the model's record, chunks and journal from the store.
    Forget,
    /// Let go of bytes that were received or read.
    Release {
        /// Names them.
        bytes: Token,
    },
    /// Do nothing for a while. Answer: [`Event::Woke`].
    Wait {
        /// Names the answer.
        token: Token,
        /// Milliseconds.
        ms: u64,
        /// Why, for people.
        reason: String,
    },
    /// Look at [`super::Download::headers`] and call [`super::Download::accept`], or drop the download.
    /// May come again: then the file changed, and what was delivered is void.
    Judge,
    /// Call [`super::Download::deliver`] with these bytes.
    Deliver {
        /// Names them.
        bytes: Token,
    },
}

/// A request for bytes of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where.
    pub location: Location,
    /// First byte.
    pub from: u64,
    /// One past the last byte; `None` for the rest.
    pub to: Option<u64>,
    /// Value for `If-Range`. Optional: the answer is checked anyway, and another origin may refuse the header.
    pub if_range: Option<String>,
}

/// What came of an action. Events with a token that is not awaited any more are ignored.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Answers [`Action::Reserve`]: whether there is room, or why not.
    Reserved {
        /// The action's.
        token: Token,
        /// `Err` says why nothing can be stored.
        granted: Result<(), String>,
    },
    /// Answers [`Action::Fetch`].
    Response {
        /// The action's.
        token: Token,
        /// The answer's head.
        response: Response,
    },
    /// Answers [`Action::Receive`].
    Received {
        /// The action's.
        token: Token,
        /// What was gathered: as much as asked for, less only if the body ended.
        piece: Piece,
    },
    /// A request or a body failed.
    Failed {
        /// The action's.
        token: Token,
        /// What happened.
        reason: String,
        /// Whether trying again is pointless.
        permanent: bool,
    },
    /// Answers [`Action::Read`].
    Read {
        /// The action's.
        token: Token,
        /// What was found; `None` if the chunk is not there or cannot be read.
        piece: Option<Piece>,
    },
    /// The bytes of an [`Action::Write`] are in the store and take no memory any more, while the journal entry is on its way.
    Written {
        /// The action's.
        token: Token,
    },
    /// Answers [`Action::Write`] and [`Action::Save`].
    Stored {
        /// The action's.
        token: Token,
        /// `Err` says why it could not be stored.
        result: Result<(), String>,
    },
    /// Answers [`Action::Wait`].
    Woke {
        /// The action's.
        token: Token,
    },
}

/// What there is to know of bytes without having them at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Bytes.
    pub length: u32,
    /// Their hash by [`super::Download::hasher`].
    pub digest: ChunkHash,
}
