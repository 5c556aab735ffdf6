//! One file per command.

mod abort;
pub(crate) mod boot;
mod bucket;
mod checked;
mod cloud_test;
mod completions;
mod demo;
mod doctor;
mod doctor_text;
mod emulator;
mod fan_out;
mod fix_script;
mod gc;
mod guest_text;
mod image;
mod image_text;
mod import;
mod importing;
mod inspect;
mod inspect_many;
pub(crate) mod inspection;
mod late;
mod list;
mod manage;
mod open_uploads;
mod package_files;
mod plan;
mod preflight;
mod publish;
mod range;
mod report_text;
mod resume;
mod sync;
mod transfer;
mod upload;
mod url;

use crate::args::Command;
use crate::context::Context;
use crate::failure::Failure;

/// Runs a command. Those that can stop gently handle signals themselves; the others are dropped.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let stop = &context.stop;
    match command.with_region_of_address() {
        Command::Demo(args) => demo::run(&args, context).await,
        Command::Upload(args) => upload::run(&args, context).await,
        Command::Resume(args) => resume::run(&args, context).await,
        Command::Import(args) => import::run(&args, context).await,
        Command::Publish(args) => publish::run(&args, context).await,
        Command::Sync(args) => sync::run(&args, context).await,
        Command::Inspect(args) => stop.or(inspect::run(&args, context)).await,
        Command::Boot(args) => boot::run(&args, context).await,
        Command::Doctor(args) => doctor::run(&args, context).await,
        Command::Url(args) => stop.or(url::run(&args, context)).await,
        Command::List(args) => stop.or(list::run(&args, context)).await,
        Command::Abort(args) => stop.or(abort::run(&args, context)).await,
        Command::Gc(args) => stop.or(gc::run(&args, context)).await,
        Command::Bucket(command) => stop.or(bucket::run(&command, context)).await,
        Command::Image(command) => image::run(&command, context).await,
        Command::Emulator(args) => emulator::run(args, context).await,
        Command::Completions(args) => completions::run(&args, context.output),
        Command::PackageFiles(args) => package_files::run(&args, context.output),
    }
}
