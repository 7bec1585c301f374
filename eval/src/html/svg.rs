//! Pieces of inline SVG: coordinates are pixels, text is escaped.

use std::fmt::Write;

use super::escape;

/// A plot in the making.
pub(super) struct Plot {
    width: f64,
    height: f64,
    body: String,
}

impl Plot {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            body: String::new(),
        }
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = write!(
            self.body,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>"
        );
    }

    pub(super) fn dot(&mut self, at: (f64, f64), class: &str, title: &str) {
        let (x, y) = at;
        let title = escape(title);
        let _ = write!(
            self.body,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" class=\"{class}\"><title>{title}</title></circle>"
        );
    }

    /// A box between two corners, in any order.
    pub(super) fn bar(&mut self, from: (f64, f64), to: (f64, f64), class: &str, title: &str) {
        let (x, y) = (from.0.min(to.0), from.1.min(to.1));
        let (width, height) = ((from.0 - to.0).abs(), (from.1 - to.1).abs());
        let title = escape(title);
        let _ = write!(
            self.body,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" class=\"{class}\" stroke=\"none\"><title>{title}</title></rect>"
        );
    }

    /// `anchor`: `start`, `middle` or `end`.
    pub(super) fn text(&mut self, at: (f64, f64), anchor: &str, class: &str, text: &str) {
        let (x, y) = at;
        let text = escape(text);
        let _ = write!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{text}</text>"
        );
    }

    pub(super) fn path(&mut self, points: &[(f64, f64)], class: &str) {
        let points: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let _ = write!(
            self.body,
            "<polyline points=\"{}\" class=\"{class}\"/>",
            points.join(" ")
        );
    }

    pub(super) fn finish(self, label: &str) -> String {
        let Self {
            width,
            height,
            body,
        } = self;
        let label = escape(label);
        format!(
            "<svg viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" aria-label=\"{label}\">{body}</svg>\n"
        )
    }
}
