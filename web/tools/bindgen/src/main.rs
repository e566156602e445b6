//! `bindgen IN.wasm OUT_FOLDER`: the module for browsers and Node, and the JavaScript around it.

use anyhow::{Result, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let [_, input, out] = &std::env::args().collect::<Vec<_>>()[..] else {
        bail!("usage: bindgen IN.wasm OUT_FOLDER");
    };
    Bindgen::new()
        .input_path(input)
        .out_name("candle_whisper_web")
        .web(true)?
        .omit_default_module_path(false)
        .typescript(true)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(out)
}
