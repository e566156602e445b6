//! Instructions of relaxed SIMD, replaced by others.
//!
//! Wanted is one of them, `a · b + c` rounded once. The compiler uses more of them where it may, as the smaller of two numbers:
//! those give way in either module to one of the results that they are free to have, so that all browsers have the same.

use anyhow::{Context, Result};
use walrus::ir::{
    BinaryOp, Binop, Instr, InstrSeq, InstrSeqId, LocalGet, LocalSet, TernOp, TernaryOp, UnaryOp, Unop,
    Visitor, dfs_in_order,
};
use walrus::{FunctionKind, LocalFunction, Module, ModuleLocals, ValType};
use wasmparser::{Validator, WasmFeatures};

/// Which ones to replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// All but `f32x4.relaxed_madd`.
    Unwanted,
    /// That too, by a product and a sum: for browsers that know none.
    All,
}

/// Replaces instructions of relaxed SIMD. -> how many there were
pub fn replace(module: &mut Module, which: Replace) -> usize {
    let Module { funcs, locals, .. } = module;
    let functions = funcs.iter_mut().filter_map(|function| match &mut function.kind {
        FunctionKind::Local(function) => Some(function),
        _ => None,
    });
    functions.map(|function| replace_in(function, locals, which)).sum()
}

/// # Errors
/// If the module is damaged, or has an instruction of relaxed SIMD.
pub fn check(wasm: &[u8]) -> Result<()> {
    let features = WasmFeatures::all().difference(WasmFeatures::RELAXED_SIMD);
    Validator::new_with_features(features).validate_all(wasm).context("the module without relaxed SIMD")?;
    Ok(())
}

fn replace_in(function: &mut LocalFunction, locals: &mut ModuleLocals, which: Replace) -> usize {
    let mut found = Found { which, sequences: Vec::new(), count: 0 };
    dfs_in_order(&mut found, function, function.entry_block());
    if found.count == 0 {
        return 0;
    }
    // What is added waits in it while the product is made.
    let local = locals.add(ValType::V128);
    let unfused: [Instr; 4] = [
        LocalSet { local }.into(),
        Binop { op: BinaryOp::F32x4Mul }.into(),
        LocalGet { local }.into(),
        Binop { op: BinaryOp::F32x4Add }.into(),
    ];
    for id in found.sequences {
        let instrs = &mut function.block_mut(id).instrs;
        let replaced = std::mem::take(instrs).into_iter().flat_map(|(instr, place)| {
            let new = match which {
                Replace::All if is_fused(&instr) => unfused.to_vec(),
                _ => vec![strict(&instr).unwrap_or(instr)],
            };
            new.into_iter().map(move |instr| (instr, place))
        });
        *instrs = replaced.collect();
    }
    found.count
}

fn is_fused(instr: &Instr) -> bool {
    matches!(instr, Instr::TernOp(TernOp { op: TernaryOp::F32x4RelaxedMadd }))
}

/// What has one of the results that are allowed; none if there is nothing to replace, or it has not been met yet.
fn strict(instr: &Instr) -> Option<Instr> {
    use {BinaryOp::*, UnaryOp::*};
    let binary = |op| Some(Binop { op }.into());
    let unary = |op| Some(Unop { op }.into());
    match instr {
        Instr::Binop(Binop { op: F32x4RelaxedMin }) => binary(F32x4PMin),
        Instr::Binop(Binop { op: F32x4RelaxedMax }) => binary(F32x4PMax),
        Instr::Binop(Binop { op: F64x2RelaxedMin }) => binary(F64x2PMin),
        Instr::Binop(Binop { op: F64x2RelaxedMax }) => binary(F64x2PMax),
        Instr::Unop(Unop { op: I32x4RelaxedTruncF32x4S }) => unary(I32x4TruncSatF32x4S),
        Instr::Unop(Unop { op: I32x4RelaxedTruncF32x4U }) => unary(I32x4TruncSatF32x4U),
        Instr::Unop(Unop { op: I32x4RelaxedTruncF64x2SZero }) => unary(I32x4TruncSatF64x2SZero),
        Instr::Unop(Unop { op: I32x4RelaxedTruncF64x2UZero }) => unary(I32x4TruncSatF64x2UZero),
        _ => None,
    }
}

/// Sequences in which there is something to replace, and how much there is in all.
#[derive(Debug)]
struct Found {
    which: Replace,
    sequences: Vec<InstrSeqId>,
    count: usize,
}

impl<'a> Visitor<'a> for Found {
    fn start_instr_seq(&mut self, sequence: &'a InstrSeq) {
        let wanted = |instr| strict(instr).is_some() || self.which == Replace::All && is_fused(instr);
        let count = sequence.instrs.iter().filter(|(instr, _)| wanted(instr)).count();
        if count > 0 {
            self.sequences.push(sequence.id());
            self.count += count;
        }
    }
}
