//! Who gets a place in the key-value cache, and what has to leave it.
//!
//! Room is promised before a request is let in: pages for its whole prompt and for what the others still have to
//! compute, and a page of headroom each. Answers outgrow any promise, so a step may still find the cache full. Then
//! kept prefixes go, least recently used first; after them the youngest request is put back in line, to be
//! computed again later. The oldest request is never put back, and alone it always fits: there is always progress.

use model::SeqId;

use crate::{Engine, engine::Running, job::Job, prefix_cache::common_prefix};

/// Where a request's first tokens are in the cache already.
#[derive(Debug, Clone, Copy)]
struct Source {
    seq: SeqId,
    common: usize,
    /// A kept prefix that holds nothing else, so that nobody else loses by its use.
    whole: bool,
}

/// What can be had for a waiting request's first tokens.
enum Reuse {
    /// Nothing, or the state of another sequence.
    Now(Option<Source>),
    /// More will be there soon: a running request is computing the same prompt.
    Soon,
}

impl Engine {
    /// Lets waiting requests in, in their order, as far as there is room. One that would compute the same tokens as a
    /// running one waits for it, and the ones behind it may go first.
    pub(crate) fn admit(&mut self) {
        let mut at = 0;
        while at < self.waiting.len() && self.running.len() < self.options.max_sequences {
            let source = match self.reusable(&self.waiting[at].tokens) {
                Reuse::Now(source) => source,
                Reuse::Soon => {
                    at += 1;
                    continue;
                }
            };
            // Forked first, so that making room can't take away what is about to be shared.
            let forked = source.and_then(|source| {
                let seq = self.context.fork(source.seq, source.common).ok()?;
                Some((seq, source))
            });
            let shared = forked.map_or(0, |(_, source)| source.common);
            if !self.make_room(self.waiting[at].tokens.len(), shared) {
                if let Some((seq, _)) = forked {
                    self.context.release(seq);
                }
                break;
            }
            let Some(job) = self.waiting.remove(at) else {
                break;
            };
            match forked {
                Some((seq, source)) => {
                    self.prefixes.touch(source.seq);
                    if source.whole {
                        self.prefixes.remove(source.seq);
                        self.context.release(source.seq);
                    }
                    self.begin(job, seq, source.common);
                }
                None => {
                    let seq = self.context.create();
                    self.begin(job, seq, 0);
                }
            }
        }
    }

    /// Adds a job to the running ones; its first `done` tokens are in the cache.
    fn begin(&mut self, mut job: Job, seq: SeqId, done: usize) {
        if job.cached.is_none() {
            job.cached = Some(done);
            job.prompt_done = done;
            self.counters.cached_tokens += done as u64;
            let hit = if done > 0 {
                &mut self.counters.cache_hits
            } else {
                &mut self.counters.cache_misses
            };
            *hit += 1;
        }
        let at = self
            .running
            .partition_point(|running| running.job.id < job.id);
        self.running.insert(at, Running { job, seq, done });
    }

    /// The longest run of first tokens that some sequence has in the cache and that can be gone on after; a model with
    /// sliding windows can't take a sequence up again long before its end. The last token is always computed, for its
    /// logits.
    fn reusable(&self, tokens: &[u32]) -> Reuse {
        let wanted = &tokens[..tokens.len() - 1];
        // A sequence that is unknown to the context has nothing that could be used.
        let resumable = |seq, len| self.context.resumable(seq, len).unwrap_or(0);
        let mut best = self.prefixes.find(wanted, resumable).map(|found| Source {
            seq: found.seq,
            common: found.common,
            whole: found.whole,
        });
        let mut soon = 0;
        for running in &self.running {
            let common = common_prefix(wanted, &running.job.tokens);
            let now = resumable(running.seq, common.min(running.done));
            if now > best.map_or(0, |best| best.common) {
                best = Some(Source {
                    seq: running.seq,
                    common: now,
                    whole: false,
                });
            }
            if running.remaining() > 1 {
                let prompt = running.job.tokens.len();
                soon = soon.max(self.context.resumable_from(prompt, common));
            }
        }
        // Waiting is never slower than computing the same tokens side by side, but a common beginning of a few tokens (a
        // BOS token, say) would only make strangers wait for each other.
        if soon > best.map_or(0, |best| best.common) && soon >= self.options.page {
            return Reuse::Soon;
        }
        Reuse::Now(best)
    }

    /// Whether a request of `len` tokens, the first `shared` of them in the cache, can be let in; drops kept prefixes
    /// where that helps.
    fn make_room(&mut self, len: usize, shared: usize) -> bool {
        if self.running.is_empty() {
            return true;
        }
        let page = self.options.page;
        let promised: usize = self
            .running
            .iter()
            .map(|running| {
                (running.job.tokens.len() + page).div_ceil(page) - running.done.div_ceil(page)
            })
            .sum();
        let taken: usize = self
            .running
            .iter()
            .map(|running| running.done.div_ceil(page))
            .sum();
        let own = (len + page).div_ceil(page);
        let needed = promised + own - shared / page;
        let capacity = self.options.cache_tokens.div_ceil(page);
        loop {
            if self.context.free_tokens() / page >= needed {
                return true;
            }
            // Without any kept prefix there would still not be enough: keep them.
            if taken + promised + own > capacity || !self.evict() {
                return false;
            }
        }
    }

    /// Drops the least recently used kept prefix. Returns false if there is none.
    pub(crate) fn evict(&mut self) -> bool {
        let Some(seq) = self.prefixes.evict() else {
            return false;
        };
        self.context.release(seq);
        self.counters.evictions += 1;
        true
    }

    /// Puts the youngest running request back in line, before all others. Returns false if it is the only one.
    pub(crate) fn preempt(&mut self) -> bool {
        if self.running.len() < 2 {
            return false;
        }
        let Some(youngest) = self.running.pop() else {
            return false;
        };
        self.context.release(youngest.seq);
        self.waiting.push_front(youngest.job);
        self.counters.preemptions += 1;
        true
    }

    /// Takes a running request off the list and keeps its state for requests that begin alike.
    pub(crate) fn retire(&mut self, at: usize) -> Job {
        let Running { job, seq, done } = self.running.remove(at);
        let dropped = if done > 0 {
            self.prefixes.insert(seq, job.tokens[..done].to_vec())
        } else {
            vec![seq]
        };
        for seq in dropped {
            self.context.release(seq);
        }
        job
    }
}
