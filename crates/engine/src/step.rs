//! One step: let requests in, choose what to compute, compute it, and tell what came of it.

use model::{Input, Want};

use crate::{
    Engine, Error, Event, FinishReason, RequestId,
    engine::Running,
    job::{Chosen, Job},
    scheduler::{self, Chunk},
};

impl Engine {
    /// Computes a part of a text that is to be embedded, and one batch for the requests that are worked on, and returns what has happened since the last step.
    /// A request's own failure is an [`Event::Failed`]; the engine itself does not fail.
    pub fn step(&mut self) -> Vec<Event> {
        let mut events = std::mem::take(&mut self.pending);
        self.embed_next(&mut events);
        self.admit();
        while !self.running.is_empty() {
            let chunks = self.plan();
            match self.compute(&chunks, &mut events) {
                Ok(()) => break,
                Err(model::Error::CacheFull { .. })
                    if self.evict() || self.restart_embedding() || self.preempt() => {}
                Err(error) => {
                    self.fail(&chunks, error, &mut events);
                    break;
                }
            }
        }
        events
    }

    fn plan(&self) -> Vec<Chunk> {
        let remaining: Vec<_> = self.running.iter().map(Running::remaining).collect();
        let turn = self
            .running
            .iter()
            .position(|running| Some(running.job.id) > self.last_turn);
        scheduler::plan(&remaining, self.options.max_batch_tokens, turn.unwrap_or(0))
    }

    /// Computes these chunks and chooses a token for every request whose last token is among them. On an error of
    /// the model nothing has changed.
    fn compute(&mut self, chunks: &[Chunk], events: &mut Vec<Event>) -> Result<(), model::Error> {
        let started = self.clock.now_ms();
        let Self {
            context,
            running,
            tokenizer,
            counters,
            clock,
            ..
        } = self;
        let inputs: Vec<_> = chunks
            .iter()
            .map(|chunk| running[chunk.index].input(chunk.tokens))
            .collect();
        let logits = context.forward(&inputs)?;
        counters.steps += 1;
        if let Some(first) = chunks
            .iter()
            .find(|chunk| running[chunk.index].remaining() > 1)
        {
            self.last_turn = Some(running[first.index].job.id);
        }

        let mut rows = (0..logits.rows()).map(|row| logits.row(row));
        let mut ended = Vec::new();
        for chunk in chunks {
            let Running { job, done, .. } = &mut running[chunk.index];
            *done += chunk.tokens;
            job.watch.start(started);
            if job.in_prompt() {
                job.prompt_done = *done;
                events.push(Event::Prefill {
                    id: job.id,
                    done: *done,
                    total: job.prompt_len,
                });
            }
            if job.in_prompt() || chunk.tokens > 1 {
                counters.prompt_tokens += chunk.tokens as u64;
            }
            if *done < job.tokens.len() {
                continue;
            }
            let chosen = if job.wants_no_tokens() {
                Ok(Chosen {
                    token: None,
                    finish: Some(FinishReason::Length),
                })
            } else {
                // Every input that reaches its job's end has asked for a row; see `Running::input`.
                let Some(row) = rows.next() else { break };
                counters.generated_tokens += 1;
                job.choose(row, tokenizer)
            };
            job.watch.lap(clock.now_ms());
            match chosen {
                Ok(Chosen { token, finish }) => {
                    if let Some((token, text, logprobs)) = token {
                        events.push(Event::Token {
                            id: job.id,
                            token,
                            text,
                            logprobs,
                        });
                    }
                    ended.extend(finish.map(|reason| (job.id, Ok(reason))));
                }
                Err(error) => ended.push((job.id, Err(error))),
            }
        }
        for (id, outcome) in ended {
            events.extend(self.end(id, outcome));
        }
        Ok(())
    }

    /// Takes a running request off the list and tells how it ended.
    fn end(&mut self, id: RequestId, outcome: Result<FinishReason, Error>) -> Option<Event> {
        let at = self
            .running
            .iter()
            .position(|running| running.job.id == id)?;
        Some(match outcome {
            Ok(reason) => {
                let mut job = self.retire(at);
                self.finished(&mut job, reason)
            }
            Err(error) => {
                let running = self.running.remove(at);
                self.context.release(running.seq);
                self.counters.finished += 1;
                Event::Failed { id, error }
            }
        })
    }

    /// The model refused the batch: ends the requests in it, and no others.
    fn fail(&mut self, chunks: &[Chunk], error: model::Error, events: &mut Vec<Event>) {
        let ids: Vec<_> = chunks
            .iter()
            .map(|chunk| self.running[chunk.index].job.id)
            .collect();
        let message = error.to_string();
        let mut own = (ids.len() == 1).then_some(Error::Model(error));
        for id in ids {
            let error = own.take().unwrap_or_else(|| Error::Batch(message.clone()));
            events.extend(self.end(id, Err(error)));
        }
    }

    /// The event that ends a request's story.
    pub(crate) fn finished(&mut self, job: &mut Job, reason: FinishReason) -> Event {
        self.counters.finished += 1;
        Event::Finished {
            id: job.id,
            reason,
            text: job.finish_text(reason),
            usage: job.usage(),
            timings: job.timings(self.clock.now_ms()),
        }
    }
}

impl Running {
    /// The next `count` tokens, with logits after the last one if a token is to be chosen there.
    fn input(&self, count: usize) -> Input<'_> {
        let chooses = count == self.remaining() && !self.job.wants_no_tokens();
        Input {
            seq: self.seq,
            tokens: &self.job.tokens[self.done..self.done + count],
            logits: if chooses { Want::Last } else { Want::None },
        }
    }
}
