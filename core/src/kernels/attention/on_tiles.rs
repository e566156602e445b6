//! Keys and values laid out for tiles, and the queries of all heads over them.

use candle_core::{Result, Tensor};

use super::super::amx::{self, Tile};
use super::super::pool;
use super::super::shared::SharedOut;
use super::few::Element;
use super::{
    Attention, IntegerHeads, KeysValues, Queries, Seen, Sizes, attention, attention_to_integers, pack,
};

impl Queries<'_> {
    /// [`Queries::in_blocks`] on the matrix unit.
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn on_tiles<E: Element>(self, all: &[KeysValues<'_, E>]) {
        let most = |size: &dyn Fn(Sizes) -> usize| all.iter().map(|keys| size(keys.shape)).max().unwrap_or(0);
        let (len, packed) = (most(&amx::Head::len), most(&Sizes::packed));
        let n = all.len() * self.n_head;
        // SAFETY: by this function's contract, and there is room for so many.
        amx::with_tiles(n * len, |laid| unsafe { self.over(all, laid, (len, packed)) });
    }

    /// The same with room for `len` tiles for each head, whose keys and values in panels are `packed` numbers.
    ///
    /// # Safety
    /// As there; nobody else may have these tiles meanwhile.
    unsafe fn over<E: Element>(
        self,
        all: &[KeysValues<'_, E>],
        laid: SharedOut<Tile>,
        (len, packed): (usize, usize),
    ) {
        let Self { q, t_q, n_head, d, .. } = self;
        let n = all.len() * n_head;
        pool::each_with(n, packed, |panels, task| {
            let ((k, v), shape) = (all[task / n_head].head(task % n_head), all[task / n_head].shape);
            let panels = &mut panels[..shape.packed()];
            // SAFETY: there is room for all; a head's tiles are its own, and any bits are integers.
            let tiles = unsafe {
                pack(panels.as_mut_ptr().cast(), k, v, shape);
                std::slice::from_raw_parts_mut(laid.at(task * len), len)
            };
            amx::Head::lay_out(panels, shape, tiles);
        });
        let blocks = t_q.div_ceil(amx::QUERIES);
        pool::each_with(n * blocks, amx::Head::room(d), |room, task| {
            let (i, head, block) = (task / (n_head * blocks), task / blocks % n_head, task % blocks);
            let (first, at) = (block * amx::QUERIES, (i * n_head + head) * len);
            let shape = all[i].shape;
            // SAFETY: all that it needs of its tiles was laid out. Tasks write disjoint places: their rows differ, or their columns do.
            unsafe {
                let tiles = std::slice::from_raw_parts(laid.at(at), amx::Head::len(shape));
                let asked = amx::Asked {
                    head: amx::Head::of(tiles, shape),
                    q: q.at(i, first, head),
                    first,
                    m: amx::QUERIES.min(t_q - first),
                    out: self.place(i, first, head),
                    stride: n_head * d,
                };
                amx::many_queries(asked, room);
            }
        });
    }
}

/// [`attention`] as on AMX, on other processors slowly: for tests. Everything in f32 on a CPU.
#[doc(hidden)]
pub fn attention_on_tiles(q: &Tensor, k: &Tensor, v: &Tensor, n_head: usize, causal: bool) -> Result<Tensor> {
    let ((b, _, _), (_, len, _)) = (q.dims3()?, k.dims3()?);
    let seen: Vec<Seen<'_>> = (0..b).map(|batch| Seen { k, v, batch, len }).collect();
    q.apply_op1_no_bwd(&Attention { n_head, causal, on_tiles: true, seen: &seen })
}

/// [`attention`] without `causal` to about seven bits where there are many queries, as fast as the processor can. Everything in f32 on a CPU.
///
/// # Errors
/// If the shapes do not fit.
pub fn rounded_attention(q: &Tensor, k: &Tensor, v: &Tensor, n_head: usize) -> Result<Tensor> {
    #[cfg(target_arch = "x86_64")]
    if super::narrow::fits(q.dim(2)? / n_head.max(1)) {
        return super::narrow::attention(q, k, v, n_head);
    }
    if !IntegerHeads::fit(q.dim(2)? / n_head.max(1)) {
        return attention(q, k, v, n_head, false);
    }
    let heads = |i| IntegerHeads::new(&k.narrow(0, i, 1)?, &v.narrow(0, i, 1)?, n_head);
    let heads = (0..q.dim(0)?).map(heads).collect::<Result<Vec<_>>>()?;
    attention_to_integers(q, &heads.iter().collect::<Vec<_>>())
}
