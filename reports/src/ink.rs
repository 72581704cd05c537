//! Inks: what a colour stands for, and how it gets into a page.
//!
//! Plotters writes fixed colours only. So every ink is drawn in a colour that nothing else
//! uses and afterwards replaced by a variable of the page's style sheet, which knows about
//! light, dark and print. Where colours run out, dashes tell lines apart.

use std::fmt::Write;

use plotters::style::RGBColor;

/// What a colour stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    Text,
    Grid,
    /// A limit.
    Mark,
    Ok,
    Failed,
    Unknown,
    Offered,
    Median,
    Upper,
    Tail,
    Longest,
    /// One of many: instances in the order of the Plan, operations, status codes.
    Nth(usize),
}

/// How many lines can be told apart by colour.
const COLOURS: usize = 6;
/// Dashes change from line to line too: where lines lie on each other, what is below shows
/// through the gaps, and a print without colours still tells them apart.
const DASHES: [&str; 4] = ["", "8 4", "2.5 3", "9 3 2.5 3"];
/// Where the numbers of [`Ink::Nth`] begin.
const FIRST: usize = 11;
const SENTINEL: &str = "#0102";

impl Ink {
    fn number(self) -> usize {
        match self {
            Ink::Text => 0,
            Ink::Grid => 1,
            Ink::Mark => 2,
            Ink::Ok => 3,
            Ink::Failed => 4,
            Ink::Unknown => 5,
            Ink::Offered => 6,
            Ink::Median => 7,
            Ink::Upper => 8,
            Ink::Tail => 9,
            Ink::Longest => 10,
            Ink::Nth(n) => FIRST + n % (COLOURS * DASHES.len()),
        }
    }

    /// The name of the style sheet's variable.
    pub(crate) fn variable(self) -> &'static str {
        variable(self.number()).unwrap_or(VARIABLES[0])
    }

    /// The pattern of its lines, as SVG wants it; empty for a solid line.
    pub(crate) fn dash(self) -> &'static str {
        dash(self.number())
    }

    pub(crate) fn sentinel(self) -> RGBColor {
        RGBColor(1, 2, self.number() as u8)
    }
}

fn variable(number: usize) -> Option<&'static str> {
    let last = FIRST + COLOURS * DASHES.len();
    let place = if number >= FIRST { FIRST + (number - FIRST) % COLOURS } else { number };
    VARIABLES.get(place).copied().filter(|_| number < last)
}

fn dash(number: usize) -> &'static str {
    match number {
        n if n == Ink::Offered.number() => "4 3",
        n if n == Ink::Longest.number() => "1.5 3",
        n if n == Ink::Upper.number() => "6 2.5",
        n if n >= FIRST => {
            let n = n - FIRST;
            DASHES[(n + n / COLOURS) % DASHES.len()]
        }
        _ => "",
    }
}

const VARIABLES: [&str; FIRST + COLOURS] = [
    "--text",
    "--grid",
    "--mark",
    "--ok",
    "--failed",
    "--unknown",
    "--offered",
    "--median",
    "--upper",
    "--tail",
    "--longest",
    "--i0",
    "--i1",
    "--i2",
    "--i3",
    "--i4",
    "--i5",
];

/// Replaces the sentinel colours by the variables that they stand for; a line of a dashed
/// ink gets its dashes.
pub(crate) fn with_variables(svg: &str) -> String {
    let mut text = String::with_capacity(svg.len() + svg.len() / 8);
    let mut parts = svg.split(SENTINEL);
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let number = part.get(..2).and_then(|hex| usize::from_str_radix(hex, 16).ok());
        match number.and_then(|number| Some((number, variable(number)?))) {
            Some((number, variable)) => {
                let stroke = text.ends_with("stroke=\"");
                // Writing to a string cannot fail.
                let _ = write!(text, "var({variable})");
                let dash = dash(number);
                if stroke && !dash.is_empty() {
                    let _ = write!(text, "\" stroke-dasharray=\"{dash}");
                }
                text.push_str(&part[2..]);
            }
            None => {
                text.push_str(SENTINEL);
                text.push_str(part);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentinels_become_variables_and_other_colours_stay() {
        let svg = "a=\"#010203\" b=\"#0102FF\" c=\"#FFFFFF\"";
        assert_eq!(with_variables(svg), "a=\"var(--ok)\" b=\"#0102FF\" c=\"#FFFFFF\"");
        for (number, variable) in VARIABLES.iter().enumerate() {
            let style = include_str!("style.css");
            assert!(style.matches(&format!("{variable}: ")).count() >= 2, "{number} {variable}");
        }
    }

    #[test]
    fn two_dozen_instances_look_different() {
        let mut looks: Vec<_> =
            (0..24).map(|n| (Ink::Nth(n).variable(), Ink::Nth(n).dash())).collect();
        looks.sort_unstable();
        looks.dedup();
        assert_eq!(looks.len(), 24);
        let RGBColor(r, g, b) = Ink::Nth(6).sentinel();
        let svg = format!("stroke=\"#{r:02X}{g:02X}{b:02X}\"");
        assert_eq!(with_variables(&svg), "stroke=\"var(--i0)\" stroke-dasharray=\"9 3 2.5 3\"");
    }
}
