//! The bits of one deflate block as zlib's trees.c would write it: stored, with the fixed codes or with its own.

const END_OF_BLOCK: usize = 256;
const N_LITERALS: usize = 286;
const N_DISTANCES: usize = 30;
const N_LENGTHS: usize = 19;
const LENGTH_EXTRA: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_EXTRA: [u8; N_DISTANCES] =
    [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
/// The order in which the lengths of the length codes are sent.
const LENGTH_ORDER: [usize; N_LENGTHS] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Counts of the symbols of a block.
pub(super) struct Block {
    literals: [usize; N_LITERALS],
    distances: [usize; N_DISTANCES],
}

impl Block {
    pub(super) fn new() -> Self {
        let mut literals = [0; N_LITERALS];
        literals[END_OF_BLOCK] = 1;
        Self { literals, distances: [0; N_DISTANCES] }
    }

    pub(super) fn literal(&mut self, byte: u8) {
        self.literals[usize::from(byte)] += 1;
    }

    /// Repeats `length` bytes from `distance` bytes before.
    pub(super) fn copy(&mut self, length: usize, distance: usize) {
        let code = if length == 258 { 28 } else { code_of(length - 3, &LENGTH_EXTRA[..28]) };
        self.literals[257 + code] += 1;
        self.distances[code_of(distance - 1, &DISTANCE_EXTRA)] += 1;
    }

    /// Bytes of the block that ends a stream, for `n_bytes` of input.
    pub(super) fn bytes(&self, n_bytes: usize) -> usize {
        let literals = Code::build(&self.literals, 15);
        let distances = Code::build(&self.distances, 15);
        let mut lengths = [0; N_LENGTHS];
        count_lengths(literals.used(), &mut lengths);
        count_lengths(distances.used(), &mut lengths);
        let header = Code::build(&lengths, 7);
        let sent = LENGTH_ORDER.iter().rposition(|&i| header.lengths[i] != 0).map_or(4, |i| i.max(3) + 1);

        let length_extra = |i: usize| if i > 256 { LENGTH_EXTRA[i - 257] } else { 0 };
        let own = bits(&self.literals, |i| literals.lengths[i], length_extra)
            + bits(&self.distances, |i| distances.lengths[i], |i| DISTANCE_EXTRA[i])
            + bits(
                &lengths,
                |i| header.lengths[i],
                |i| [2, 3, 7].get(i.wrapping_sub(16)).copied().unwrap_or(0),
            )
            + 3 * sent
            + 14;
        let fixed_length = |i: usize| match i {
            0..144 => 8,
            144..256 => 9,
            256..280 => 7,
            _ => 8,
        };
        let fixed = bits(&self.literals, fixed_length, length_extra)
            + bits(&self.distances, |_| 5, |i| DISTANCE_EXTRA[i]);
        let (own, fixed) = ((own + 3).div_ceil(8), (fixed + 3).div_ceil(8));
        // Stored: three bits filled up to a byte, and the length twice.
        if n_bytes + 4 <= own.min(fixed) { n_bytes + 5 } else { own.min(fixed) }
    }
}

/// Bits of all symbols: their codes and their extra bits.
fn bits(counts: &[usize], length: impl Fn(usize) -> u8, extra: impl Fn(usize) -> u8) -> usize {
    let each = |(i, count): (usize, &usize)| {
        if *count == 0 { 0 } else { count * usize::from(length(i) + extra(i)) }
    };
    counts.iter().enumerate().map(each).sum()
}

/// The code whose range holds `value`, when code `i` covers `1 << extra[i]` values.
fn code_of(value: usize, extra: &[u8]) -> usize {
    let mut first = 0;
    for (code, &bits) in extra.iter().enumerate() {
        first += 1 << bits;
        if value < first {
            return code;
        }
    }
    extra.len() - 1
}

/// Lengths of a Huffman code's symbols.
struct Code {
    lengths: Vec<u8>,
    max_code: usize,
}

impl Code {
    fn used(&self) -> &[u8] {
        &self.lengths[..=self.max_code]
    }

    /// zlib's tree: among equal counts the shallower subtree comes first, which decides the lengths.
    fn build(counts: &[usize], max_length: usize) -> Self {
        let n = counts.len();
        let mut count = counts.to_vec();
        let mut heap: Vec<usize> = (0..n).filter(|&i| count[i] != 0).collect();
        let mut max_code = heap.last().copied().unwrap_or(0);
        let mut any = !heap.is_empty();
        // At least two codes, so that each has a bit.
        while heap.len() < 2 {
            let symbol = if !any || max_code < 2 {
                max_code = if any { max_code + 1 } else { 0 };
                any = true;
                max_code
            } else {
                0
            };
            count[symbol] = 1;
            heap.push(symbol);
        }
        let mut tree = Tree { count, depth: vec![0; n], parent: vec![0; 2 * n] };
        for k in (0..heap.len() / 2).rev() {
            tree.sink(&mut heap, k);
        }
        // Nodes in the order they left the heap: the most frequent last.
        let mut order = Vec::with_capacity(2 * n);
        while heap.len() >= 2 {
            let first = heap.swap_remove(0);
            tree.sink(&mut heap, 0);
            let second = heap[0];
            let node = tree.join(first, second);
            order.extend([first, second]);
            heap[0] = node;
            tree.sink(&mut heap, 0);
        }
        order.push(heap[0]);
        Self { lengths: tree.lengths(&order, n, max_code, max_length), max_code }
    }
}

struct Tree {
    count: Vec<usize>,
    depth: Vec<usize>,
    parent: Vec<usize>,
}

impl Tree {
    fn before(&self, a: usize, b: usize) -> bool {
        (self.count[a], self.depth[a]) <= (self.count[b], self.depth[b])
    }

    fn sink(&self, heap: &mut [usize], mut k: usize) {
        let Some(&value) = heap.get(k) else { return };
        let mut child = 2 * k + 1;
        while child < heap.len() {
            if child + 1 < heap.len() && self.before(heap[child + 1], heap[child]) {
                child += 1;
            }
            if self.before(value, heap[child]) {
                break;
            }
            heap[k] = heap[child];
            k = child;
            child = 2 * k + 1;
        }
        heap[k] = value;
    }

    fn join(&mut self, a: usize, b: usize) -> usize {
        let node = self.count.len();
        self.count.push(self.count[a] + self.count[b]);
        self.depth.push(self.depth[a].max(self.depth[b]) + 1);
        (self.parent[a], self.parent[b]) = (node, node);
        node
    }

    /// Lengths of the first `n` nodes, limited to `max_length`.
    fn lengths(&self, order: &[usize], n: usize, max_code: usize, max_length: usize) -> Vec<u8> {
        let mut length = vec![0usize; self.count.len()];
        let mut per_length = vec![0usize; max_length + 1];
        let mut overflow = 0isize;
        for &node in order.iter().rev().skip(1) {
            let bits = length[self.parent[node]] + 1;
            overflow += isize::from(bits > max_length);
            length[node] = bits.min(max_length);
            if node <= max_code {
                per_length[length[node]] += 1;
            }
        }
        while overflow > 0 {
            // A leaf moves one level down and takes one of the too long ones as its brother.
            let bits = (1..max_length).rev().find(|&b| per_length[b] != 0).unwrap_or(1);
            per_length[bits] -= 1;
            per_length[bits + 1] += 2;
            per_length[max_length] -= 1;
            overflow -= 2;
            if overflow <= 0 {
                let mut leaves = order.iter().filter(|&&node| node <= max_code);
                for bits in (1..=max_length).rev() {
                    leaves.by_ref().take(per_length[bits]).for_each(|&node| length[node] = bits);
                }
            }
        }
        length[..n].iter().map(|&bits| bits as u8).collect()
    }
}

/// Counts the symbols that code lengths are sent as: runs of one length, and of zeros.
fn count_lengths(lengths: &[u8], counts: &mut [usize; N_LENGTHS]) {
    let mut previous = None;
    let mut at = 0;
    while at < lengths.len() {
        let length = lengths[at];
        let (most, least) = match length {
            0 => (138, 3),
            _ if previous == Some(length) => (6, 3),
            _ => (7, 4),
        };
        let run = lengths[at..].iter().take(most).take_while(|&&l| l == length).count();
        match length {
            _ if run < least => counts[usize::from(length)] += run,
            0 if run <= 10 => counts[17] += 1,
            0 => counts[18] += 1,
            _ => {
                if previous != Some(length) {
                    counts[usize::from(length)] += 1;
                }
                counts[16] += 1;
            }
        }
        previous = Some(length);
        at += run;
    }
}
