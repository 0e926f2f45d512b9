//! Growth curves, as SVG: both axes are logarithmic, so that what grows in proportion is a straight line.

use std::fmt::Write;

/// A chart of some lines over one size.
#[derive(Clone, Debug)]
pub(crate) struct Chart<'a> {
    pub(crate) title: &'a str,
    /// What the sizes count.
    pub(crate) size: &'a str,
    /// The unit of the values.
    pub(crate) unit: &'a str,
    pub(crate) lines: Vec<Line<'a>>,
}

/// A line of a chart: values by size, each above zero.
#[derive(Clone, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    pub(crate) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
/// Room for the words around the plot: left, right, top, bottom.
const MARGINS: [f64; 4] = [70.0, 110.0, 40.0, 50.0];
/// Told apart also by who sees no colours: by their brightness, and by the name at the end of each line.
const COLOURS: [&str; 4] = ["#0b62a8", "#d1661c", "#5b9e48", "#777777"];

/// Where values lie on one axis.
struct Axis {
    /// Logarithms of the ends, whole decades.
    from: f64,
    to: f64,
    /// Pixels of the ends.
    first: f64,
    last: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64> + Clone, first: f64, last: f64) -> Self {
        let from = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
        let to = values.fold(0.0, f64::max).log10().ceil();
        Self { from, to: to.max(from + 1.0), first, last }
    }

    fn at(&self, value: f64) -> f64 {
        self.first + (value.log10() - self.from) / (self.to - self.from) * (self.last - self.first)
    }

    fn decades(&self) -> impl Iterator<Item = f64> + use<> {
        let (from, count) = (self.from, (self.to - self.from).round());
        (0..).map(f64::from).take_while(move |step| *step <= count).map(move |step| 10f64.powf(from + step))
    }
}

impl Chart<'_> {
    /// The chart as a document. Empty if there is nothing to show.
    pub(crate) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| line.points.iter().copied());
        if points().next().is_none() {
            return String::new();
        }
        let [left, right, top, bottom] = MARGINS;
        let x = Axis::over(points().map(|point| point.0), left, WIDTH - right);
        let y = Axis::over(points().map(|point| point.1), HEIGHT - bottom, top);
        let mut body = String::new();
        grid(&mut body, &x, &y);
        for (line, colour) in self.lines.iter().zip(COLOURS.into_iter().cycle()) {
            draw(&mut body, line, colour, &x, &y);
        }
        let (middle, below) = ((x.first + x.last) / 2.0, HEIGHT - 12.0);
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>
<text x="{left}" y="22" font-size="15">{} ({})</text>
<text x="{middle}" y="{below}" text-anchor="middle">{}</text>
{body}</svg>
"#,
            self.title, self.unit, self.size
        )
    }
}

fn grid(body: &mut String, x: &Axis, y: &Axis) {
    for value in x.decades() {
        let at = x.at(value);
        line(body, (at, y.first), (at, y.last));
        text(body, (at, y.first + 18.0), "middle", &number(value));
    }
    for value in y.decades() {
        let at = y.at(value);
        line(body, (x.first, at), (x.last, at));
        text(body, (x.first - 8.0, at + 4.0), "end", &number(value));
    }
}

fn draw(body: &mut String, line: &Line<'_>, colour: &str, x: &Axis, y: &Axis) {
    let places: Vec<_> = line.points.iter().map(|(size, value)| (x.at(*size), y.at(*value))).collect();
    let path: Vec<_> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    push(
        body,
        format_args!(
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#,
            path.join(" ")
        ),
    );
    for (x, y) in &places {
        push(body, format_args!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{colour}"/>"#));
    }
    if let Some((x, y)) = places.last() {
        let (x, y) = (x + 8.0, y + 4.0);
        push(body, format_args!(r#"<text x="{x:.1}" y="{y:.1}" fill="{colour}">{}</text>"#, line.name));
    }
}

fn line(body: &mut String, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    push(body, format_args!(r##"<path d="M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}" stroke="#ddd"/>"##));
}

fn text(body: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    push(body, format_args!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{words}</text>"#));
}

fn push(body: &mut String, element: std::fmt::Arguments<'_>) {
    writeln!(body, "{element}").expect("a text takes whatever is written to it");
}

/// A power of ten.
fn number(value: f64) -> String {
    if value >= 1.0 { format!("{value:.0}") } else { format!("{value}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> Chart<'static> {
        let lines = vec![Line { name: "ours", points }];
        Chart { title: "Time", size: "ports", unit: "seconds", lines }
    }

    #[test]
    fn what_grows_in_proportion_is_a_straight_line() {
        let x = Axis::over([100.0, 10_000.0].into_iter(), 0.0, 200.0);
        assert_eq!([100.0, 1000.0, 10_000.0].map(|value| x.at(value)), [0.0, 100.0, 200.0]);
    }

    #[test]
    fn one_size_is_a_chart_too() {
        let svg = chart(vec![(1000.0, 0.5)]).svg();
        assert!(svg.contains("<circle") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn nothing_is_no_chart() {
        assert_eq!(chart(Vec::new()).svg(), "");
    }
}
