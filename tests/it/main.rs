//! The real binary, against the embedded store in process and the emulator over HTTP.

mod after_import;
mod arguments;
mod demo;
mod devices;
mod examples;
mod faults;
mod imports;
mod limits;
mod memory;
mod network;
mod older_state;
mod ours;
mod pipes;
mod proxy;
mod settings;
mod soak;
mod stop;
mod store;
mod support;
mod switches;
mod texts;
mod threads;
mod unread;
mod upload;
mod uploads;
mod web;
