//! A worker at work: what it does for each order.

use std::io::{BufRead, Write};
use std::path::Path;

use anyhow::{Result, bail};
use dnn_train::Products;
use serde_json::json;

use super::protocol::{Link, Order, Turn, say_ready};
use super::{Job, Kind, fma, train};

/// Obeys until there are no more orders.
///
/// # Errors
/// If an order cannot be read or an answer not be written; what goes wrong with a job is an answer.
pub fn serve<R: BufRead + Send, W: Write + Send>(link: Link<R, W>) -> Result<()> {
    obey(link, Products::Full)
}

/// The same with products in bf16; jobs that are not training in mini-batches are skipped.
///
/// # Errors
/// As [`serve`].
pub fn serve_in_bf16<R: BufRead + Send, W: Write + Send>(link: Link<R, W>) -> Result<()> {
    obey(link, Products::Bf16)
}

fn obey<R: BufRead + Send, W: Write + Send>(
    mut link: Link<R, W>,
    products: Products,
) -> Result<()> {
    let mut order = link.hear()?;
    loop {
        order = match order {
            None => return Ok(()),
            Some(Order::Open(path)) => match open(&path, &mut link, products) {
                Ok(next) => next,
                Err(error) => {
                    link.complain(&error)?;
                    link.hear()?
                }
            },
            Some(Order::Close) => {
                link.say(&json!({ "closed": true }))?;
                link.hear()?
            }
            Some(Order::Check | Order::Go) => {
                link.complain(&anyhow::anyhow!("no job is open"))?;
                link.hear()?
            }
        };
    }
}

/// Does the job in this file until an order comes that it does not know.
fn open<R: BufRead + Send, W: Write + Send>(
    path: &Path,
    link: &mut Link<R, W>,
    products: Products,
) -> Result<Option<Order>> {
    let mut job = Job::read(path)?;
    if products == Products::Bf16 {
        if job.kind != Kind::Train || job.batch.is_none() || job.precision != "f32" {
            link.say(&json!({ "skip": "in bf16 it trains in mini-batches alone" }))?;
            return link.hear();
        }
        job.precision = products.to_string();
    }
    match (job.kind, job.precision.as_str()) {
        (Kind::Fma, _) => {
            say_ready(link)?;
            loop {
                match link.hear()? {
                    Some(Order::Go) => {
                        let rounds = (0..job.rounds_of).map(|_| fma::round(job.threads));
                        let (mut seconds, mut operations) = (0.0, 0.0);
                        for (time, rate) in rounds {
                            (seconds, operations) = (seconds + time, operations + time * rate);
                        }
                        link.say(&Turn::new(seconds, operations / seconds))?;
                    }
                    other => return Ok(other),
                }
            }
        }
        (_, "f32" | "bf16") => train::session::<f32, _, _>(&job, link),
        (_, "f64") => train::session::<f64, _, _>(&job, link),
        (_, other) => bail!("expected f32 or f64, found `{other}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(orders: &str) -> Vec<serde_json::Value> {
        let mut output = Vec::new();
        serve(Link { input: orders.as_bytes(), output: &mut output }).unwrap();
        let text = String::from_utf8(output).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn what_is_no_order_or_no_job_is_answered_and_not_the_end() {
        let answers = answers("jump\ngo\nopen no-such-file\nclose\n");
        assert_eq!(answers[0]["error"], "expected open, check, go or close, found `jump`");
        assert_eq!(answers[1]["error"], "no job is open");
        assert!(answers[2]["error"].as_str().unwrap().starts_with("cannot read no-such-file"));
        assert_eq!(answers[3]["closed"], true);
    }

    #[test]
    fn in_bf16_all_but_mini_batches_is_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.json");
        Job::fma(1).write(&path).unwrap();
        let (orders, mut output) = (format!("open {}\n", path.display()), Vec::new());
        serve_in_bf16(Link { input: orders.as_bytes(), output: &mut output }).unwrap();
        let text = String::from_utf8(output).unwrap();
        assert_eq!(text.trim(), r#"{"skip":"in bf16 it trains in mini-batches alone"}"#);
    }

    #[test]
    fn the_loop_of_multiplications_says_how_fast_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.json");
        Job::fma(1).write(&path).unwrap();
        let answers = answers(&format!("open {}\ngo\nclose\n", path.display()));
        assert_eq!(answers[0]["ready"], true);
        assert!(answers[1]["value"].as_f64().unwrap() > 0.0);
        assert_eq!(answers.len(), 3);
    }
}
