//! The matrix of faults by what they struck in the middle of, as a picture, with the points
//! that a campaign should reach *sometimes* below it.

use std::fmt::Write;

use wavetank_vocabulary::ProtocolState;

use crate::coverage::{Coverage, Point};
use crate::words::grouped;

/// Sizes in pixels.
const CELL: (u32, u32) = (52, 20);
const LEFT: u32 = 160;
const TOP: u32 = 150;
const POINT_COLUMN: u32 = 280;
const POINT_COLUMNS: u32 = 3;

impl Coverage {
    /// An SVG picture. Of each cell the shade says how often it was reached, on a logarithmic
    /// scale; an empty one was never reached. Kinds that never took effect have no row.
    pub fn to_svg(&self) -> String {
        let kinds: Vec<_> = self.kinds().collect();
        let below = TOP + kinds.len() as u32 * CELL.1;
        let states = ProtocolState::ALL.len() as u32;
        let width = (LEFT + states * CELL.0).max(POINT_COLUMNS * POINT_COLUMN) + 20;
        let rows = (Point::ALL.len() as u32).div_ceil(POINT_COLUMNS);
        let height = below + 60 + rows * CELL.1;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <title>Faults by what they struck in the middle of</title>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        let most = kinds
            .iter()
            .flat_map(|kind| ProtocolState::ALL.iter().map(|state| self.struck(*kind, *state)))
            .max()
            .unwrap_or(0);
        // Writing to a string cannot fail.
        for (column, state) in ProtocolState::ALL.iter().enumerate() {
            let (x, y) = (LEFT + column as u32 * CELL.0 + CELL.0 / 2, TOP - 8);
            let _ = writeln!(
                svg,
                "<text transform=\"translate({x} {y}) rotate(-50)\">{}</text>",
                state.name()
            );
        }
        for (row, kind) in kinds.iter().enumerate() {
            let y = TOP + row as u32 * CELL.1;
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                LEFT - 8,
                y + 14,
                kind.name()
            );
            for (column, state) in ProtocolState::ALL.iter().enumerate() {
                let count = self.struck(*kind, *state);
                let x = LEFT + column as u32 * CELL.0;
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" fill=\"{}\" stroke=\"#ddd\"/>",
                    CELL.0,
                    CELL.1,
                    shade(count, most)
                );
                if count > 0 {
                    let _ = writeln!(
                        svg,
                        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" font-size=\"10\">{}</text>",
                        x + CELL.0 / 2,
                        y + 14,
                        grouped(count)
                    );
                }
            }
        }
        for (index, point) in Point::ALL.iter().enumerate() {
            let (row, column) = (index as u32 / POINT_COLUMNS, index as u32 % POINT_COLUMNS);
            let (count, fill) = match self.reached(*point) {
                0 => ("never".to_owned(), "#b00020"),
                count => (grouped(count), "#000"),
            };
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{}\" fill=\"{fill}\">{}: {count}</text>",
                10 + column * POINT_COLUMN,
                below + 40 + row * CELL.1,
                point.name()
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// White for nothing, then from light to dark by the number's length in bits.
fn shade(count: u64, most: u64) -> String {
    let bits = |number: u64| u64::from(u64::BITS - number.leading_zeros());
    if count == 0 {
        return "#fff".to_owned();
    }
    let part = bits(count) * 100 / bits(most).max(1);
    format!("hsl(205 65% {}%)", 95 - part * 40 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_picture_has_a_row_for_each_kind_and_says_what_was_never_reached() {
        let crash = json!({"took_effect": 9, "skipped": 0, "in": {"push": 8, "quiet": 1}});
        let value = json!({"runs": 3, "faults": {"crash": crash}, "points": {"election won": 4}});
        let svg = Coverage::from_json(&value).expect("it is coverage").to_svg();
        assert!(svg.contains(">crash</text>") && !svg.contains(">pause</text>"));
        assert!(svg.contains("election won: 4") && svg.contains("two masters at once: never"));
        let cells = svg.matches("stroke=\"#ddd\"").count();
        assert_eq!(cells, ProtocolState::ALL.len());
        let filled = svg.matches("hsl(").count();
        assert_eq!(filled, 2);
    }
}
