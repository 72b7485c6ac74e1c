//! Requests to events: scheduling, stop rules, cancellation, metrics.
