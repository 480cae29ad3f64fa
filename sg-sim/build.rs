//! Compiles `shim/` into a shared object of its own, so that `cargo build` yields all of sg-sim without a further step.
//!
//! It must not be linked into sg-sim itself, whose own calls would then come by there. The program carries it as bytes (`front/run/shim.rs`).

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=shim");
    println!("cargo::rerun-if-changed=build.rs");
    let object = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?).join("sg-sim-preload.so");
    let target = env::var("TARGET")?;
    if !["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"].contains(&target.as_str()) {
        // The layouts in the shim are those of two machines; `sg-sim run` says so when it finds nothing here.
        return Ok(std::fs::write(object, [])?);
    }
    let mut rustc = Command::new(env::var_os("RUSTC").ok_or("RUSTC is not set")?);
    rustc
        .args([
            "--edition",
            "2024",
            "--crate-name",
            "sg_sim_preload",
            "--crate-type",
            "cdylib",
        ])
        .args([
            "--target",
            &target,
            "-C",
            "opt-level=2",
            "-C",
            "panic=abort",
            "-C",
            "lto=fat",
            "-C",
            "strip=symbols",
        ])
        // A symbol that nobody has must stop the build, not the programs that the object is loaded into.
        .args([
            "-C",
            "link-arg=-Wl,-z,defs",
            "-C",
            "link-arg=-Wl,-z,now",
            "-D",
            "warnings",
        ])
        .arg("shim/lib.rs")
        .arg("-o")
        .arg(object);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = std::ffi::OsString::from("linker=");
        option.push(linker);
        rustc.arg("-C").arg(option);
    }
    let status = rustc.status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("compile shim/lib.rs: rustc ended with {status}").into())
    }
}
