fn main() {
    napi_build::setup();
    // The host's triple, so that a profile without a target resolves to the same text on every build.
    let target = std::env::var("TARGET").unwrap_or_default();
    println!("cargo:rustc-env=WASMMATRIX_TARGET={target}");
    println!("cargo:rerun-if-changed=build.rs");
}
