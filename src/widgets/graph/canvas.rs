//! The dots of a graph: two by four in a cell in Braille, one a cell in ASCII.

/// The bits of the dots of a Braille cell, by row and column (Unicode, U+2800).
const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

/// Nobody's.
const NONE: u16 = u16::MAX;

#[derive(Debug, Clone, Copy)]
struct Spot {
    dots: u8,
    /// The curve that is seen here.
    curve: u16,
    /// Whether other curves run through here, too.
    shared: bool,
}

/// Dots in cells.
#[derive(Debug)]
pub(super) struct Canvas {
    width: usize,
    height: usize,
    /// Dots in a cell: columns and rows.
    grain: (usize, usize),
    spots: Vec<Spot>,
}

impl Canvas {
    pub(super) fn new(width: u16, height: u16, ascii: bool) -> Self {
        let (width, height) = (usize::from(width), usize::from(height));
        let spot = Spot { dots: 0, curve: NONE, shared: false };
        let grain = if ascii { (1, 1) } else { (2, 4) };
        Self { width, height, grain, spots: vec![spot; width * height] }
    }

    /// Returns how many dots there are, across and down.
    pub(super) fn dots(&self) -> (usize, usize) {
        (self.width * self.grain.0, self.height * self.grain.1)
    }

    fn dot(&mut self, x: usize, y: usize, curve: u16) {
        let (column, row) = (x / self.grain.0, y / self.grain.1);
        let bit = BITS[(y % self.grain.1).min(3)][(x % self.grain.0).min(1)];
        if column >= self.width {
            return;
        }
        let Some(spot) = self.spots.get_mut(row * self.width + column) else { return };
        spot.dots |= bit;
        if spot.curve != NONE && spot.curve != curve {
            spot.shared = true;
        }
        spot.curve = curve;
    }

    /// Draws a straight line from dot to dot, both ends with it.
    pub(super) fn line(&mut self, from: (usize, usize), to: (usize, usize), curve: u16) {
        let (mut x, mut y) = (from.0 as i64, from.1 as i64);
        let (end_x, end_y) = (to.0 as i64, to.1 as i64);
        let (wide, tall) = ((end_x - x).abs(), -(end_y - y).abs());
        let (right, down) = ((end_x - x).signum(), (end_y - y).signum());
        // Bresenham: the error says how far the dots have strayed from the line.
        let mut error = wide + tall;
        loop {
            self.dot(x as usize, y as usize, curve);
            if x == end_x && y == end_y {
                return;
            }
            let twice = 2 * error;
            if twice >= tall {
                error += tall;
                x += right;
            }
            if twice <= wide {
                error += wide;
                y += down;
            }
        }
    }

    /// Returns what stands in a cell: the curve, its dots as a Braille letter, and whether it is alone there.
    pub(super) fn cell(&self, column: usize, row: usize) -> Option<(u16, char, bool)> {
        let spot = self.spots.get(row * self.width + column)?;
        let letter = char::from_u32(0x2800 + u32::from(spot.dots))?;
        (spot.dots != 0).then_some((spot.curve, letter, !spot.shared))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(canvas: &Canvas) -> Vec<String> {
        (0..canvas.height)
            .map(|row| {
                (0..canvas.width).map(|column| canvas.cell(column, row).map_or(' ', |(_, c, _)| c)).collect()
            })
            .collect()
    }

    #[test]
    fn a_line_goes_from_corner_to_corner() {
        let mut canvas = Canvas::new(2, 2, false);
        canvas.line((0, 7), (3, 0), 0);
        assert_eq!(drawn(&canvas), [" ⡜", "⡜ "]);
    }

    #[test]
    fn what_lies_outside_is_left_out() {
        let mut canvas = Canvas::new(1, 1, false);
        canvas.line((0, 0), (9, 9), 0);
        assert_eq!(drawn(&canvas), ["⠑"]);
        Canvas::new(0, 0, false).line((0, 0), (3, 3), 1);
    }

    #[test]
    fn a_cell_with_two_curves_is_not_alone() {
        let mut canvas = Canvas::new(2, 1, false);
        canvas.line((0, 0), (3, 0), 1);
        canvas.line((0, 3), (1, 3), 0);
        assert_eq!(canvas.cell(0, 0).map(|(curve, _, alone)| (curve, alone)), Some((0, false)));
        assert_eq!(canvas.cell(1, 0).map(|(curve, _, alone)| (curve, alone)), Some((1, true)));
    }
}
