//! Matrices that are laid out piece by piece, what was read of them given back meanwhile.

use std::cell::RefCell;

use candle_core::DType;
use candle_whisper_core::kernels::{Panels, Part, Products, Written};

use crate::data::Noise;

/// Of f32.
fn part(numbers: &[f32]) -> impl Fn(usize) -> Part<'static> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    move |n| Part { n, written: Written::Floats(DType::F32), bytes: bytes.clone().into() }
}

#[test]
fn every_row_is_said_to_be_read_once_in_order_and_in_pieces_of_some_megabytes() {
    let mut noise = Noise(7);
    // Two parts, neither of whole panels, of 10 MB in all.
    let (k, rows) = (640, [2501, 1602]);
    let numbers = rows.map(|n| noise.vec(n * k, 1.0));
    let parts: Vec<_> = rows.iter().zip(&numbers).map(|(&n, numbers)| part(numbers)(n)).collect();
    for products in [Products::Floats, Products::Integers] {
        let read = RefCell::new(Vec::new());
        let panels = Panels::reading(k, &parts, &[], products, &|rows| read.borrow_mut().push(rows)).unwrap();
        let read = read.into_inner();
        assert!(read.len() > 2, "{read:?}");
        assert!(read.iter().all(|rows| rows.len() * k * 4 <= 4 << 20), "{read:?}");
        assert_eq!(read[0].start, 0);
        assert!(read.windows(2).all(|two| two[0].end == two[1].start), "{read:?}");
        let n: usize = rows.iter().sum();
        assert!((n..n + 16).contains(&read.last().unwrap().end), "{read:?}");

        // The same as of both at once in one part.
        let whole = part(&numbers.concat())(n);
        let whole = Panels::new(k, &[whole], &[], products).unwrap();
        let x = crate::kernels::tensor(noise.vec(3 * k, 1.0), &[3, k]);
        let [a, b] = [panels, whole].map(|w| crate::kernels::values(&w.forward(&x).unwrap()));
        assert_eq!(a, b);
    }
}
