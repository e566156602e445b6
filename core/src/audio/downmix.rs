//! Many channels to one, with the weights of ffmpeg's `-ac 1`.
//!
//! Centre 1, front pairs 1/√2, surrounds 1/2, low frequencies and heights nothing; then divided by
//! the sum, so that the mix can't clip.

use std::f32::consts::FRAC_1_SQRT_2;

/// More channels than any format carries; a header that claims more is broken.
pub(crate) const MAX_CHANNELS: usize = 64;

/// Where a channel's loudspeaker stands, as far as the mix cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// Front centre.
    Centre,
    /// Left or right of the front, the inner pair too.
    Front,
    /// At the sides and behind.
    Surround,
    /// Low frequencies, heights: not in the mix.
    Silent,
}

impl Speaker {
    fn weight(self) -> f32 {
        match self {
            Self::Centre => 1.0,
            Self::Front => FRAC_1_SQRT_2,
            Self::Surround => 0.5,
            Self::Silent => 0.0,
        }
    }
}

/// The channels of one frame, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout(Vec<Speaker>);

impl Layout {
    /// Channels whose places are known.
    #[cfg(feature = "media")]
    pub(crate) fn new(speakers: Vec<Speaker>) -> Self {
        Self(speakers)
    }

    /// ffmpeg's default layout for a number of channels.
    pub(crate) fn of_count(channels: usize) -> Self {
        use Speaker::{Centre as C, Front as F, Silent as L, Surround as S};
        Self(match channels {
            1 => vec![C],
            2 => vec![F, F],
            3 => vec![F, F, L],
            4 => vec![F, F, C, S],
            5 => vec![F, F, C, S, S],
            6 => vec![F, F, C, L, S, S],
            7 => vec![F, F, C, L, S, S, S],
            8 => vec![F, F, C, L, S, S, S, S],
            n => vec![C; n],
        })
    }

    /// Number of channels.
    pub(crate) fn channels(&self) -> usize {
        self.0.len()
    }

    /// The share of each channel in the mix; they sum to 1.
    pub(crate) fn weights(&self) -> Vec<f32> {
        let sum: f32 = self.0.iter().map(|s| s.weight()).sum();
        if sum == 0.0 {
            return vec![1.0 / self.0.len().max(1) as f32; self.0.len()];
        }
        self.0.iter().map(|s| s.weight() / sum).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Measured: an impulse on each channel through ffmpeg 5.1 `-channel_layout L -ac 1`.
    #[test]
    fn weights_are_those_ffmpeg_gives() {
        let table: [(usize, &[f32]); 7] = [
            (2, &[0.5, 0.5]),
            (3, &[0.5, 0.5, 0.0]),
            (4, &[0.2427, 0.2427, 0.3431, 0.1716]),
            (5, &[0.2071, 0.2071, 0.2929, 0.1465, 0.1465]),
            (6, &[0.2071, 0.2071, 0.2929, 0.0, 0.1465, 0.1465]),
            (7, &[0.1807, 0.1807, 0.2555, 0.0, 0.1277, 0.1277, 0.1277]),
            (8, &[0.1602, 0.1602, 0.2266, 0.0, 0.1133, 0.1133, 0.1133, 0.1133]),
        ];
        for (channels, expected) in table {
            let weights = Layout::of_count(channels).weights();
            assert_eq!(weights.len(), expected.len());
            for (w, e) in weights.iter().zip(expected) {
                assert!((w - e).abs() < 1e-4, "{channels} channels: {weights:?}");
            }
        }
        use Speaker::{Front, Surround};
        let quad = Layout(vec![Front, Front, Surround, Surround]).weights();
        assert!((quad[0] - 0.2929).abs() < 1e-4 && (quad[2] - 0.2071).abs() < 1e-4);
    }

    #[test]
    fn channels_without_a_known_place_are_averaged() {
        assert_eq!(Layout::of_count(16).weights(), vec![1.0 / 16.0; 16]);
        assert_eq!(Layout(vec![Speaker::Silent; 2]).weights(), vec![0.5; 2]);
    }
}
