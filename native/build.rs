//! Compiles the kernels for GPUs, in a build with CUDA.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Machine code for these, and code that the driver translates for others.
const ARCHITECTURES: [&str; 4] = [
    "arch=compute_80,code=[sm_80,compute_80]",
    "arch=compute_89,code=sm_89",
    "arch=compute_90a,code=sm_90a",
    "arch=compute_90,code=compute_90",
];
const FOLDER: &str = "src/device/cuda/kernels";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={FOLDER}");
    for variable in ["NVCC", "CUDA_HOME", "CUDA_PATH", "CUDA_ROOT"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("kernels.fatbin");
    let mut nvcc = Command::new(nvcc());
    nvcc.args(["-O3", "-std=c++17", "-fatbin"]);
    for architecture in ARCHITECTURES {
        nvcc.arg("-gencode").arg(architecture);
    }
    let source = Path::new(FOLDER).join("kernels.cu");
    let done = nvcc.arg(&source).arg("-o").arg(&out).status();
    match done {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{nvcc:?} failed ({status}); is the CUDA toolkit 12.3 or newer?"),
        Err(error) => panic!("{nvcc:?}: {error}; set CUDA_HOME to where the CUDA toolkit is"),
    }
}

/// The compiler: NVCC, or that of the toolkit's folder, or of the path.
fn nvcc() -> PathBuf {
    if let Some(nvcc) = env::var_os("NVCC") {
        return nvcc.into();
    }
    let named = ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT"].iter().filter_map(env::var_os);
    let mut toolkits = named.map(PathBuf::from).chain(["/usr/local/cuda".into()]);
    let found = toolkits.find_map(|folder| Some(folder.join("bin/nvcc")).filter(|nvcc| nvcc.exists()));
    found.unwrap_or_else(|| "nvcc".into())
}
