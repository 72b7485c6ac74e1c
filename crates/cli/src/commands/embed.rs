//! `minnow embed`: texts to vectors, or to a reranker's scores, as llama-embedding makes them.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use engine::{EmbeddingRequest, Engine, Event, Prompt};
use model::Pooling;
use serde::Serialize;
use tokenizer::Tokenizer;

use crate::{args::EngineArgs, files::ModelFiles, generate, load, output};

/// Show the embeddings of texts, or a reranker's scores of pairs of texts
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// GGUF file; the first one of a split set
    model: PathBuf,
    /// The texts; for a reranker a query and a document each, with a tab between them
    #[arg(required_unless_present = "ids")]
    texts: Vec<String>,
    /// Token ids of one text instead, e.g. 1,2,3
    #[arg(long, value_delimiter = ',', conflicts_with = "texts")]
    ids: Vec<u32>,
    /// How tokens become one vector: none, mean, cls, last or rank; the model's own way if not given
    #[arg(long, value_name = "KIND", value_parser = parse_pooling)]
    pooling: Option<Pooling>,
    /// Normalize vectors: -1 not, 0 so that the largest number is 32760, else so that the norm of this order is 1
    #[arg(
        long = "embd-normalize",
        value_name = "N",
        default_value_t = EUCLIDEAN,
        allow_negative_numbers = true
    )]
    normalize: i32,
    /// What separates a query from a document
    #[arg(long = "cls-separator", value_name = "TEXT", default_value = "\t")]
    separator: String,
    #[command(flatten)]
    engine: EngineArgs,
    /// Write one JSON object in OpenAI's shape: {"object", "data": [{"object", "index", "embedding"}]}
    #[arg(long)]
    json: bool,
}

/// The order of the norm that makes products of vectors cosines.
const EUCLIDEAN: i32 = 2;

/// Metadata key of the text into which a reranker wants its query and document put.
const RERANK_TEMPLATE_KEY: &str = "tokenizer.chat_template.rerank";

/// Numbers of each vector that people are shown of several.
const SHOWN: usize = 16;

#[derive(Debug, Serialize)]
struct Output {
    object: &'static str,
    data: Vec<Item>,
}

#[derive(Debug, Serialize)]
struct Item {
    object: &'static str,
    index: usize,
    embedding: Vec<f32>,
}

fn parse_pooling(name: &str) -> Result<Pooling, String> {
    Pooling::from_name(name).ok_or_else(|| {
        let names = Pooling::ALL.map(Pooling::name);
        format!("expected one of {}", names.join(", "))
    })
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let loaded = load::load(&args.model)?;
    let config = loaded.model.config();
    let pooling = args.pooling.unwrap_or(config.pooling);
    let labels = config.labels.clone();
    let inputs = inputs(args, pooling, &loaded.tokenizer)?;
    let mut engine = generate::engine(loaded, &args.engine)?;
    let mut vectors = Vec::new();
    for input in inputs {
        vectors.extend(embed(&mut engine, input, pooling, args.normalize)?);
    }
    if args.json {
        let items = vectors.into_iter().enumerate();
        return output::json(&Output {
            object: "list",
            data: items
                .map(|(index, embedding)| Item {
                    object: "embedding",
                    index,
                    embedding,
                })
                .collect(),
        });
    }
    match pooling {
        Pooling::Rank => show_scores(&vectors, &labels),
        _ => show_vectors(&vectors),
    }
}

/// What to embed; pairs for a reranker in the form that it was made for.
fn inputs(args: &Args, pooling: Pooling, tokenizer: &Tokenizer) -> Result<Vec<Prompt>> {
    if !args.ids.is_empty() {
        return Ok(vec![Prompt::Tokens(args.ids.clone())]);
    }
    let is_pair = |text: &String| pooling == Pooling::Rank && text.contains(&args.separator);
    let template = match args.texts.iter().any(is_pair) {
        true => rerank_template(&args.model)?,
        false => None,
    };
    let input = |text: &String| match (text.split_once(&args.separator), &template) {
        (Some((query, document)), Some(template)) if is_pair(text) => template
            .replace("{query}", query)
            .replace("{document}", document),
        (Some((query, document)), None) if is_pair(text) => {
            let end = tokenizer.eos().filter(|_| tokenizer.add_eos());
            let end = end.and_then(|id| tokenizer.token_text(id));
            format!("{query}{}{document}", end.unwrap_or_default())
        }
        _ => text.clone(),
    };
    Ok(args
        .texts
        .iter()
        .map(|text| Prompt::Text(input(text)))
        .collect())
}

fn rerank_template(model: &Path) -> Result<Option<String>> {
    let files = ModelFiles::open(model)?;
    let template = files.first_header().metadata.string(RERANK_TEMPLATE_KEY)?;
    Ok(template.map(str::to_owned))
}

/// The text's vector, or one for each of its tokens.
fn embed(
    engine: &mut Engine,
    input: Prompt,
    pooling: Pooling,
    order: i32,
) -> Result<Vec<Vec<f32>>> {
    engine.embed(EmbeddingRequest {
        input,
        pooling: Some(pooling),
        normalize: order == EUCLIDEAN,
    })?;
    while !engine.is_idle() {
        for event in engine.step() {
            match event {
                Event::Embedded {
                    mut values, width, ..
                } => {
                    if order != EUCLIDEAN && pooling != Pooling::Rank {
                        values
                            .chunks_exact_mut(width)
                            .for_each(|vector| normalize(vector, order));
                    }
                    return Ok(values.chunks_exact(width).map(<[_]>::to_vec).collect());
                }
                Event::Failed { error, .. } => return Err(error.into()),
                _ => {}
            }
        }
    }
    bail!("the engine stopped without an embedding")
}

/// llama.cpp's normalizations (`common_embd_normalize`): by a norm of `order` 1 or more, to the range of 16-bit integers for 0, not
/// at all below.
fn normalize(vector: &mut [f32], order: i32) {
    const LARGEST: f64 = 32_760.0;
    let magnitudes = vector.iter().map(|x| f64::from(x.abs()));
    let norm = match order {
        ..0 => return,
        0 => magnitudes.fold(0.0, f64::max) / LARGEST,
        1.. => magnitudes
            .map(|x| x.powi(order))
            .sum::<f64>()
            .powf(f64::from(order).recip()),
    };
    if norm > 0.0 {
        vector
            .iter_mut()
            .for_each(|x| *x = (f64::from(*x) / norm) as f32);
    }
}

fn show_scores(scores: &[Vec<f32>], labels: &[String]) -> Result<()> {
    for (index, scores) in scores.iter().enumerate() {
        for (i, score) in scores.iter().enumerate() {
            let label = labels.get(i).map(|label| format!(" [{label}]"));
            let label = label.unwrap_or_default();
            output::line(&format!("rerank score {index}: {score:8.3}{label}"))?;
        }
    }
    Ok(())
}

fn show_vectors(vectors: &[Vec<f32>]) -> Result<()> {
    let shown = if vectors.len() > 1 { SHOWN } else { usize::MAX };
    for (index, vector) in vectors.iter().enumerate() {
        let numbers = vector.iter().take(shown).map(|x| format!("{x:9.6}"));
        output::line(&format!(
            "embedding {index}: {}",
            numbers.collect::<Vec<_>>().join(" ")
        ))?;
    }
    if vectors.len() < 2 {
        return Ok(());
    }
    output::line("\ncosine similarity matrix:\n")?;
    for a in vectors {
        let row = vectors.iter().map(|b| format!("{:6.2}", cosine(a, b)));
        output::line(&row.collect::<Vec<_>>().join(" "))?;
    }
    Ok(())
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 {
        dot(a, b) / lengths
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_of_every_order() {
        let normalized = |order| {
            let mut vector = [3.0, -4.0, 0.0];
            normalize(&mut vector, order);
            vector
        };
        assert_eq!(normalized(-1), [3.0, -4.0, 0.0]);
        assert_eq!(normalized(0), [24_570.0, -32_760.0, 0.0]);
        assert_eq!(normalized(1), [3.0 / 7.0, -4.0 / 7.0, 0.0]);
        let cube = 91f64.powf(1.0 / 3.0);
        assert_eq!(
            normalized(3),
            [(3.0 / cube) as f32, (-4.0 / cube) as f32, 0.0]
        );
        let mut zeros = [0.0; 2];
        normalize(&mut zeros, 1);
        assert_eq!(zeros, [0.0; 2]);
    }

    #[test]
    fn cosines_are_between_directions() {
        assert_eq!(cosine(&[2.0, 0.0], &[5.0, 0.0]), 1.0);
        assert_eq!(cosine(&[2.0, 0.0], &[0.0, 1.0]), 0.0);
        assert_eq!(cosine(&[2.0, 0.0], &[0.0, 0.0]), 0.0);
    }
}
