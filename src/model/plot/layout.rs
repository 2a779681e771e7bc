//! Places boxes in rows, each below those that it reads, by the steps of Sugiyama, Tagawa and Toda (1981): rows by the
//! longest way from the input, lines through rows between as narrow places of their own, an order within rows with few
//! crossings, then positions close to those of what a box reads and is read by.

/// How often rows are gone through, down and up.
const SWEEPS: usize = 8;
/// The place of a line that passes a row.
const LANE_WIDTH: f64 = 16.0;

/// Sizes in pixels.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub width: f64,
    pub height: f64,
    pub side_gap: f64,
    /// Between rows.
    pub gap: f64,
}

/// A place in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub x: f64,
    pub y: f64,
}

/// A drawing's places.
pub(super) struct Layout {
    /// Each box's upper left corner.
    pub boxes: Vec<Point>,
    /// For each arrow the points on its way.
    pub arrows: Vec<Vec<Point>>,
    pub width: f64,
    pub height: f64,
}

/// A box or a line's place in a row.
struct Node {
    row: usize,
    width: f64,
    /// What it reads, and what reads it, in the rows beside its own.
    above: Vec<usize>,
    below: Vec<usize>,
    /// Its middle.
    x: f64,
}

/// Places boxes, each of which reads the `inputs` before it.
pub(super) fn place(inputs: &[Vec<usize>], sizes: Sizes) -> Layout {
    let mut nodes: Vec<Node> = Vec::with_capacity(inputs.len());
    for inputs in inputs {
        let row = inputs.iter().map(|&input| nodes[input].row + 1).max().unwrap_or(0);
        nodes.push(Node { row, width: sizes.width, above: Vec::new(), below: Vec::new(), x: 0.0 });
    }
    let ways = add_ways(&mut nodes, inputs);
    let mut rows = vec![Vec::new(); nodes.iter().map(|node| node.row + 1).max().unwrap_or(0)];
    for index in first_order(&nodes) {
        rows[nodes[index].row].push(index);
    }
    for sweep in 0..SWEEPS {
        order_rows(&nodes, &mut rows, sweep % 2 == 0);
    }
    position(&mut nodes, &rows, sizes);
    let left = nodes.iter().map(|node| node.x - node.width / 2.0).fold(f64::INFINITY, f64::min);
    nodes.iter_mut().for_each(|node| node.x -= left);
    let top = |row: usize| row as f64 * (sizes.height + sizes.gap);
    let corner = |node: &Node| Point { x: node.x - node.width / 2.0, y: top(node.row) };
    let arrow = |way: &Vec<usize>| points(&nodes, way, sizes, &top);
    Layout {
        boxes: nodes[..inputs.len()].iter().map(corner).collect(),
        arrows: ways.iter().map(arrow).collect(),
        width: nodes.iter().map(|node| node.x + node.width / 2.0).fold(0.0, f64::max),
        height: (rows.len() as f64 * (sizes.height + sizes.gap) - sizes.gap).max(0.0),
    }
}

/// Adds a place in each row that a line passes, and says for each line the nodes on its way.
fn add_ways(nodes: &mut Vec<Node>, inputs: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut ways: Vec<Vec<usize>> = Vec::new();
    for (reader, inputs) in inputs.iter().enumerate() {
        for &input in inputs {
            let mut way = vec![input];
            for row in nodes[input].row + 1..nodes[reader].row {
                nodes.push(Node { row, width: LANE_WIDTH, above: Vec::new(), below: Vec::new(), x: 0.0 });
                way.push(nodes.len() - 1);
            }
            way.push(reader);
            for pair in way.windows(2) {
                nodes[pair[0]].below.push(pair[1]);
                nodes[pair[1]].above.push(pair[0]);
            }
            ways.push(way);
        }
    }
    ways
}

/// The nodes as a walk down from the first one meets them.
fn first_order(nodes: &[Node]) -> Vec<usize> {
    let (mut met, mut order) = (vec![false; nodes.len()], Vec::with_capacity(nodes.len()));
    let mut open: Vec<usize> = (0..nodes.len()).rev().filter(|&node| nodes[node].above.is_empty()).collect();
    while let Some(node) = open.pop() {
        if !std::mem::replace(&mut met[node], true) {
            order.push(node);
            open.extend(nodes[node].below.iter().rev());
        }
    }
    order
}

/// Orders each row by where its nodes' neighbours in the row before lie, from the first row `down` or from the last up.
fn order_rows(nodes: &[Node], rows: &mut [Vec<usize>], down: bool) {
    let mut places = vec![0.0; nodes.len()];
    let indices: Vec<usize> = if down { (0..rows.len()).collect() } else { (0..rows.len()).rev().collect() };
    for row in indices {
        let key = |node: &usize| {
            let beside = if down { &nodes[*node].above } else { &nodes[*node].below };
            let sum: f64 = beside.iter().map(|&other| places[other]).sum();
            if beside.is_empty() { 0.0 } else { sum / beside.len() as f64 }
        };
        rows[row].sort_by(|one, other| key(one).total_cmp(&key(other)));
        let middle = (rows[row].len() as f64 - 1.0) / 2.0;
        for (place, &node) in rows[row].iter().enumerate() {
            places[node] = place as f64 - middle;
        }
    }
}

/// Moves every node towards its neighbours as far as the others of its row leave room.
fn position(nodes: &mut [Node], rows: &[Vec<usize>], sizes: Sizes) {
    for sweep in 0..=SWEEPS {
        let down = sweep % 2 == 0;
        let indices: Vec<usize> = if down { (0..rows.len()).collect() } else { (0..rows.len()).rev().collect() };
        for row in indices {
            let row = &rows[row];
            let wanted: Vec<f64> = row.iter().map(|&node| wanted(nodes, node, down)).collect();
            let apart = |pair: &[usize]| (nodes[pair[0]].width + nodes[pair[1]].width) / 2.0 + sizes.side_gap;
            let distances: Vec<f64> = row.windows(2).map(apart).collect();
            for (&node, x) in row.iter().zip(apart_from_one_another(&wanted, &distances)) {
                nodes[node].x = x;
            }
        }
    }
}

/// Where a node would best be: in the middle of its neighbours, in the row before it.
fn wanted(nodes: &[Node], node: usize, down: bool) -> f64 {
    let beside = if down { &nodes[node].above } else { &nodes[node].below };
    match beside.len() {
        0 => nodes[node].x,
        count => beside.iter().map(|&other| nodes[other].x).sum::<f64>() / count as f64,
    }
}

/// The positions nearest to `wanted`, in squares, of which each is at least the next of `distances` from the one before:
/// isotonic regression by pooling adjacent violators.
fn apart_from_one_another(wanted: &[f64], distances: &[f64]) -> Vec<f64> {
    let offsets: Vec<f64> = std::iter::once(0.0)
        .chain(distances.iter().scan(0.0, |sum, distance| {
            *sum += distance;
            Some(*sum)
        }))
        .collect();
    // (sum, count) of what lies together
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (wanted, offset) in wanted.iter().zip(&offsets) {
        pools.push((wanted - offset, 1));
        while let [.., before, last] = &pools[..]
            && before.0 / before.1 as f64 > last.0 / last.1 as f64
        {
            let joined = (before.0 + last.0, before.1 + last.1);
            pools.truncate(pools.len() - 2);
            pools.push(joined);
        }
    }
    let means = pools.into_iter().flat_map(|(sum, count)| std::iter::repeat_n(sum / count as f64, count));
    means.zip(offsets).map(|(mean, offset)| mean + offset).collect()
}

/// The points of a line: out of the box at its foot, straight through the rows that it passes, into the last one's head.
fn points(nodes: &[Node], way: &[usize], sizes: Sizes, top: &dyn Fn(usize) -> f64) -> Vec<Point> {
    let mut points = Vec::new();
    for (index, &node) in way.iter().enumerate() {
        let Node { row, x, .. } = nodes[node];
        if index > 0 {
            points.push(Point { x, y: top(row) });
        }
        if index + 1 < way.len() {
            points.push(Point { x, y: top(row) + sizes.height });
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes { width: 100.0, height: 50.0, side_gap: 20.0, gap: 30.0 };

    #[test]
    fn a_chain_is_one_column() {
        let layout = place(&[vec![], vec![0], vec![1]], SIZES);
        assert_eq!(layout.boxes, [0.0, 80.0, 160.0].map(|y| Point { x: 0.0, y }));
        assert_eq!((layout.width, layout.height), (100.0, 210.0));
        assert_eq!(layout.arrows[0], [Point { x: 50.0, y: 50.0 }, Point { x: 50.0, y: 80.0 }]);
    }

    #[test]
    fn boxes_and_passing_lines_do_not_touch() {
        // two branches of different lengths beside a line from the input to the end
        let inputs = [vec![], vec![0], vec![1], vec![0], vec![2, 3, 0], vec![4, 0]];
        let layout = place(&inputs, SIZES);
        for (one, a) in layout.boxes.iter().enumerate() {
            for b in &layout.boxes[..one] {
                assert!(a.y != b.y || (a.x - b.x).abs() >= 119.9, "{a:?} {b:?}");
            }
        }
        let inside = |point: &Point| {
            let within = |corner: &&Point| {
                point.x > corner.x && point.x < corner.x + 100.0 && point.y > corner.y && point.y < corner.y + 50.0
            };
            layout.boxes.iter().find(within).copied()
        };
        for arrow in &layout.arrows {
            for pair in arrow.windows(2).filter(|pair| pair[0].x == pair[1].x) {
                let middle = Point { x: pair[0].x, y: (pair[0].y + pair[1].y) / 2.0 };
                assert_eq!(inside(&middle), None, "{arrow:?}");
            }
        }
    }

    #[test]
    fn what_has_no_room_moves_apart_around_the_middle() {
        assert_eq!(apart_from_one_another(&[5.0, 5.0], &[10.0]), [0.0, 10.0]);
        assert_eq!(apart_from_one_another(&[0.0, 50.0], &[10.0]), [0.0, 50.0]);
    }
}
