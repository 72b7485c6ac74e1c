//! Logits to a token id: penalties, filters, a seeded draw.
