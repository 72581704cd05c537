//! Links `store-speed` with the system's SQLite where there is one to link with.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(have_sqlite)");
    if has_sqlite() {
        println!("cargo:rustc-cfg=have_sqlite");
        println!("cargo:rustc-link-arg-bin=store-speed=-lsqlite3");
    }
}

/// Whether a program that calls the library links.
fn has_sqlite() -> bool {
    let probe = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()).join("probe");
    let compiler = Command::new("cc")
        .args(["-x", "c", "-", "-lsqlite3", "-o"])
        .arg(probe)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut compiler) = compiler else { return false };
    let program = b"int sqlite3_libversion_number(void);\n\
                    int main(void) { return sqlite3_libversion_number() == 0; }\n";
    let written = compiler.stdin.take().is_some_and(|mut stdin| stdin.write_all(program).is_ok());
    written && compiler.wait().is_ok_and(|status| status.success())
}
