//! The rows of a bench: named figures, several rounds of each.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

/// Figures by name, in the order in which they first came.
#[derive(Default)]
pub(crate) struct Rows {
    rows: Vec<(String, Vec<f64>)>,
}

impl Rows {
    /// One round's figure. The name is `area.case.metric.subject`.
    pub(crate) fn add(&mut self, name: String, figure: f64) {
        match self.rows.iter_mut().find(|(known, _)| *known == name) {
            Some((_, figures)) => figures.push(figure),
            None => self.rows.push((name, vec![figure])),
        }
    }

    /// Prints `name: median`, a line each, and writes the same as one JSON object to `json`.
    pub(crate) fn publish(&self, json: Option<&Path>) -> Result<()> {
        for (name, figure) in self.medians() {
            println!("{name}: {figure}");
        }
        let Some(path) = json else {
            return Ok(());
        };
        let object: Map<String, Value> = self
            .medians()
            .map(|(name, figure)| (name.to_owned(), figure.into()))
            .collect();
        let text = serde_json::to_string_pretty(&object)?;
        std::fs::write(path, text + "\n")
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Every row's median, to two decimals: the lab's clocks are no better.
    fn medians(&self) -> impl Iterator<Item = (&str, f64)> {
        self.rows.iter().map(|(name, figures)| {
            let rounded = (median(figures) * 100.0).round() / 100.0;
            (name.as_str(), rounded)
        })
    }
}

/// The middle one, or the mean of the middle two. Not a number where there are none.
fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[half],
        _ => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_the_median_of_its_rounds() {
        let mut rows = Rows::default();
        for figure in [9.0, 1.0, 2.004] {
            rows.add("boot.bios.ack_s.peer".into(), figure);
        }
        rows.add("boot.bios.ack_s.trial".into(), 1.0);
        rows.add("boot.bios.ack_s.trial".into(), 4.0);
        let medians: Vec<_> = rows.medians().collect();
        assert_eq!(
            medians,
            [
                ("boot.bios.ack_s.peer", 2.0),
                ("boot.bios.ack_s.trial", 2.5)
            ]
        );
    }
}
