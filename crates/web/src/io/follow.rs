//! How far the same model's download in another tab is.

use futures_util::future::{Either, select};
use js_sys::Promise;
use wasm_bindgen_futures::JsFuture;
use web_sys::{BroadcastChannel, MessageEvent};

use super::types::Progress;

/// What all tabs of the origin hear that load one model.
pub(super) struct Channel(Option<BroadcastChannel>);

impl Channel {
    /// Where the browser has no such channels, nothing is said and nothing heard.
    pub(super) fn open(id: &str) -> Self {
        Self(BroadcastChannel::new(&format!("minnow:{id}")).ok())
    }

    /// Tells the other tabs.
    pub(super) fn tell(&self, at: &Progress) {
        if let (Some(channel), Ok(at)) = (&self.0, serde_wasm_bindgen::to_value(at)) {
            // Who does not hear it sees less, and that is all.
            let _ = channel.post_message(&at);
        }
    }

    /// Waits for `turn`, and reports meanwhile what the tab tells that has it now.
    pub(super) async fn follow<T>(
        &self,
        turn: impl Future<Output = T>,
        report: &dyn Fn(Progress),
    ) -> T {
        let mut turn = std::pin::pin!(turn);
        loop {
            let news = std::pin::pin!(self.next());
            match select(turn, news).await {
                Either::Left((result, _)) => return result,
                Either::Right((at, waiting)) => {
                    turn = waiting;
                    at.map(report);
                }
            }
        }
    }

    /// What is told next; `None` if it is not understood.
    async fn next(&self) -> Option<Progress> {
        let Some(channel) = &self.0 else {
            return std::future::pending().await;
        };
        let message = Promise::new(&mut |resolve, _| channel.set_onmessage(Some(&resolve)));
        let event: MessageEvent = JsFuture::from(message).await.ok()?.into();
        serde_wasm_bindgen::from_value(event.data()).ok()
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        if let Some(channel) = &self.0 {
            channel.close();
        }
    }
}
