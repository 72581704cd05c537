//! The role timeline: a band per instance, coloured by role, with the faults across. Written
//! by hand: a chart library has no word for it.

use std::fmt::Write;

use wavetank_vocabulary::{FaultKind, Role};

use crate::axis::TimeAxis;
use crate::chart::{Chart, Format, open_plot, opening, shades, time_labels};

const ROW: u32 = 30;
const BAND: u32 = 22;
/// Room for the names of the faults.
const TOP: u32 = 20;
/// More instances than these are counted instead of named above the bands.
const NAMED: usize = 4;
/// The width of a letter, near enough to see whether a word fits.
const LETTER: f64 = 7.2;

/// The fault during which a machine stands still: its mark covers the band.
const PAUSE: &str = FaultKind::Pause.name();

/// One instance's band.
#[derive(Clone, Debug)]
pub(crate) struct Band {
    pub(crate) name: String,
    /// From when on it had which role; seconds.
    pub(crate) roles: Vec<(f64, Role)>,
    /// Faults that hit it: from, to, what to say.
    pub(crate) faults: Vec<(f64, f64, String)>,
}

/// All bands.
#[derive(Clone, Debug)]
pub(crate) struct RoleChart {
    pub(crate) bands: Vec<Band>,
}

/// The class by which the style sheet colours a role.
pub(crate) const fn role_class(role: Role) -> &'static str {
    match role {
        Role::Down => "down",
        Role::Starting | Role::Arbiter => "starting",
        Role::Pending | Role::Detached => "pending",
        Role::ToMaster | Role::ToSlave => "switching",
        Role::Master => "master",
        Role::Slave => "slave",
    }
}

/// Data units per unit of the figure along the time axis.
const FINE: f64 = 4.0;

/// Where times lie in a figure.
struct Place {
    left: f64,
    width: f64,
    end: f64,
}

impl Place {
    fn part(&self, at: f64) -> f64 {
        (at / self.end.max(1e-9)).clamp(0.0, 1.0)
    }

    fn x(&self, at: f64) -> f64 {
        self.left + self.width * self.part(at)
    }

    /// Within the plot, in its finer units.
    fn fine(&self, at: f64) -> f64 {
        FINE * self.width * self.part(at)
    }
}

impl Chart for RoleChart {
    fn svg(&self, time: &TimeAxis, format: Format, title: &str) -> String {
        let rows = self.bands.len() as u32 * ROW;
        let bottom = TOP + rows;
        let place = Place {
            left: f64::from(format.left()),
            width: f64::from(format.plot()),
            end: time.end,
        };
        let mut svg = opening(format, bottom + Format::BOTTOM, title);
        // Writing to a string cannot fail.
        let _ = svg.write_str("\n");
        time_labels(&mut svg, time, format, (TOP, bottom));
        let size = ((FINE * place.width) as u32, rows);
        open_plot(&mut svg, format, (TOP, bottom), size);
        let behind = TimeAxis { masters: Vec::new(), ..time.clone() };
        shades(&mut svg, &behind, size);
        for (row, band) in (0u32..).zip(&self.bands) {
            draw_band(&mut svg, &place, band, row * ROW + (ROW - BAND) / 2);
        }
        let before = TimeAxis {
            end: time.end,
            stop: time.end,
            masters: time.masters.clone(),
            ..TimeAxis::default()
        };
        shades(&mut svg, &before, size);
        svg.push_str("</svg><g class=\"labels\">");
        name_faults(&mut svg, &place, &self.bands);
        for (row, band) in (0u32..).zip(&self.bands) {
            name_roles(&mut svg, &place, band, baseline(row));
        }
        svg.push_str("</g>");
        for (row, band) in (0u32..).zip(&self.bands) {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                place.left - 8.0,
                baseline(row),
                band.name
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn baseline(row: u32) -> u32 {
    TOP + row * ROW + ROW / 2 + 5
}

/// Writes what hit whom above the bands, where there is room beside the name before.
fn name_faults(svg: &mut String, place: &Place, bands: &[Band]) {
    let mut hits: Vec<(f64, &str, &str)> = Vec::new();
    for band in bands {
        hits.extend(band.faults.iter().map(|(from, _, what)| (*from, what.as_str(), &*band.name)));
    }
    // Bands stay in their order.
    hits.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)));
    let mut free = place.left;
    for together in hits.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        let (at, what, _) = together[0];
        // A partition is one fault per link: its ends are named once.
        let mut whom: Vec<&str> = together.iter().map(|hit| hit.2).collect();
        whom.dedup();
        let name = if whom.len() > NAMED {
            format!("{what}, {} instances", whom.len())
        } else {
            format!("{what} {}", whom.join(", "))
        };
        let width = LETTER * name.len() as f64;
        // Near the right edge a name moves to the left.
        let x = place.x(at).min(place.left + place.width - width);
        if x >= free {
            let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{}\">{name}</text>", TOP - 6);
            free = x + width + LETTER;
        }
    }
}

/// Roles with when each began and ended.
fn spans<'a>(place: &Place, band: &'a Band) -> impl Iterator<Item = (f64, f64, Role)> + 'a {
    let ends = band.roles.iter().skip(1).map(|&(at, _)| at).chain([place.end]);
    band.roles.iter().zip(ends).map(|(&(from, role), to)| (from, to, role))
}

fn name_roles(svg: &mut String, place: &Place, band: &Band, y: u32) {
    for (from, to, role) in spans(place, band) {
        let (x, name) = (place.x(from), role.name());
        if place.x(to) - x > LETTER * name.len() as f64 + 8.0 {
            let _ = writeln!(
                svg,
                "<text class=\"on {}\" x=\"{:.1}\" y=\"{y}\">{name}</text>",
                role_class(role),
                x + 5.0
            );
        }
    }
}

fn draw_band(svg: &mut String, place: &Place, band: &Band, y: u32) {
    // Of states that pass within one unit of the figure, the first is drawn, that wide: it
    // must not become invisible, and thousands of them must not fill the page.
    let mut drawn_to = 0.0f64;
    for (from, to, role) in spans(place, band) {
        let (x, end) = (place.fine(from), place.fine(to));
        let start = x.max(drawn_to);
        if to <= from || (end - start <= 0.0 && start > x) {
            continue;
        }
        let width = (end - start).max(FINE);
        drawn_to = start + width;
        let _ = writeln!(
            svg,
            "<rect class=\"role {}\" x=\"{start:.0}\" y=\"{y}\" width=\"{width:.0}\" \
             height=\"{BAND}\"><title>{} {} from {from:.3} s to {to:.3} s</title></rect>",
            role_class(role),
            band.name,
            role.name(),
        );
    }
    let mut marked_to = -1.0f64;
    for (from, to, what) in &band.faults {
        let (x, end) = (place.fine(*from), place.fine(*to));
        let width = (end - x).max(2.0 * FINE);
        // What would hardly show beside the mark before it is left out.
        if x < marked_to && x + width < marked_to + 2.0 * FINE {
            continue;
        }
        marked_to = x + width;
        let (class, top, height) =
            if what == PAUSE { ("stands", y, BAND) } else { ("hit", y + BAND - 1, 4) };
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x:.0}\" y=\"{top}\" width=\"{width:.0}\" \
             height=\"{height}\"><title>{what} from {from:.3} s to {to:.3} s</title></rect>",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(bands: Vec<Band>) -> String {
        let time = TimeAxis { end: 100.0, stop: 90.0, ..TimeAxis::default() };
        RoleChart { bands }.svg(&time, Format::Wide, "roles")
    }

    fn band(name: &str, faults: &[(f64, f64, &str)]) -> Band {
        let faults = faults.iter().map(|&(from, to, what)| (from, to, what.to_owned()));
        let roles = vec![(0.0, Role::Slave), (10.0, Role::Master), (10.0, Role::Down)];
        Band { name: name.to_owned(), roles, faults: faults.collect() }
    }

    #[test]
    fn a_band_is_as_wide_as_its_role_lasts() {
        let svg = drawn(vec![band("i1", &[])]);
        let width = FINE * f64::from(Format::Wide.plot());
        let slave = format!("\"role slave\" x=\"0\" y=\"4\" width=\"{:.0}\"", 0.1 * width);
        assert!(svg.contains(&slave), "{slave} is not in {svg}");
        let down = format!("\"role down\" x=\"{:.0}\"", 0.1 * width);
        assert!(svg.contains(&down), "{down} is not in {svg}");
        assert!(!svg.contains("role master"), "a role that lasted no time has no band");
    }

    #[test]
    fn a_thousand_changes_within_a_moment_do_not_fill_the_page() {
        let mut restless = band("i1", &[]);
        restless.roles = (0..4_000u32)
            .map(|n| {
                (50.0 + f64::from(n) / 1e5, if n % 2 == 0 { Role::Pending } else { Role::Down })
            })
            .collect();
        let svg = drawn(vec![restless]);
        assert!(svg.matches("\"role ").count() < 10);
        assert!(svg.contains("\"role pending\""));
    }

    #[test]
    fn a_pause_covers_the_band() {
        let svg = drawn(vec![band("i1", &[(20.0, 30.0, "pause")])]);
        assert!(svg.contains("class=\"stands\"") && !svg.contains("class=\"hit\""));
    }

    #[test]
    fn the_ends_of_a_partition_are_named_once() {
        let cut = (20.0, 30.0, "partition");
        let svg = drawn(vec![band("i1", &[cut, cut]), band("i2", &[cut]), band("i3", &[cut])]);
        assert_eq!(svg.matches(">partition i1, i2, i3<").count(), 1);
    }

    #[test]
    fn names_of_faults_do_not_overlap() {
        let faults = [(20.0, 30.0, "crash"), (21.0, 22.0, "pause"), (60.0, 61.0, "power-loss")];
        let svg = drawn(vec![band("i1", &faults)]);
        let shown =
            ["crash", "pause", "power-loss"].map(|what| svg.contains(&format!(">{what} i1<")));
        assert_eq!(shown, [true, false, true]);
    }
}
