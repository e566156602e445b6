//! `bindgen IN.wasm OUT_FOLDER`: the modules for browsers and Node, and the JavaScript around them.
//!
//! IN has relaxed SIMD, which not every browser knows. What goes to `NAME_bg.wasm` is the same module without it, what goes to
//! `NAME_relaxed.wasm` the module as it is; either fits the JavaScript.

mod plain;

use std::path::Path;

use anyhow::{Result, bail, ensure};
use plain::Replace;
use wasm_bindgen_cli_support::Bindgen;

const NAME: &str = "candle_whisper_web";

fn main() -> Result<()> {
    let [_, input, out] = &std::env::args().collect::<Vec<_>>()[..] else {
        bail!("usage: bindgen IN.wasm OUT_FOLDER");
    };
    let mut output = Bindgen::new()
        .input_path(input)
        .out_name(NAME)
        .web(true)?
        .omit_default_module_path(false)
        .typescript(true)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate_output()?;
    plain::replace(output.wasm_mut(), Replace::Unwanted);
    output.emit(out)?;
    let out = Path::new(out);
    let standard = out.join(format!("{NAME}_bg.wasm"));
    std::fs::rename(&standard, out.join(format!("{NAME}_relaxed.wasm")))?;
    let fused = plain::replace(output.wasm_mut(), Replace::All);
    ensure!(fused > 0, "{input} was built without relaxed SIMD: see .cargo/config.toml");
    let wasm = output.wasm_mut().emit_wasm();
    plain::check(&wasm)?;
    std::fs::write(&standard, wasm)?;
    Ok(())
}
