//! Wire formats: bytes and text to Arrow and the domain, and back. No IO, no engine.
#![doc = include_str!("../README.md")]

pub mod decode;
pub mod document;
pub mod encode;
pub mod question;
pub mod text;
