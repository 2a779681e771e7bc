//! `convnet --version --verbose`: what this program is made of and runs on, for a report of a fault.

use std::ffi::OsString;
use std::path::Path;

use convnet::device::{self, libraries};
use convnet::{libtorch, native};

/// The commit that a package was built from, where the build was told.
const COMMIT: Option<&str> = option_env!("CONVNET_COMMIT");

/// Whether the words of the command line have `--verbose` or `-v`, alone or among other letters.
pub fn is_verbose(words: impl Iterator<Item = OsString>) -> bool {
    words.skip(1).any(|word| {
        let word = word.to_string_lossy();
        word == "--verbose"
            || word.strip_prefix('-').is_some_and(|letters| !letters.starts_with('-') && letters.contains('v'))
    })
}

/// The program, libtorch, CUDA and the CPU, a line each.
pub fn verbose() -> String {
    let commit = COMMIT.map_or_else(|| "commit not known".to_owned(), |commit| format!("commit {commit}"));
    let [profile, target, rustc] = [env!("CONVNET_PROFILE"), env!("CONVNET_TARGET"), env!("CONVNET_RUSTC")];
    let library = libraries::mapped("libtorch_cpu.so");
    // <libtorch>/lib/libtorch_cpu.so
    let folder = library.as_deref().and_then(|library| library.parent()?.parent());
    let capability = native::cpu_capability().unwrap_or_else(|error| error.to_string());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "convnet   {} ({commit})\nbuild     {profile}, {target}, {rustc}\nlibtorch  {}, tch {}\nCUDA      {}\nCPU       {capability} kernels, \
         {threads} threads\n",
        env!("CARGO_PKG_VERSION"),
        libtorch_line(folder),
        env!("CONVNET_TCH_VERSION"),
        cuda_line(folder),
    )
}

fn libtorch_line(folder: Option<&Path>) -> String {
    let Some(folder) = folder else {
        return format!("{} expected, its place is not known", libtorch::EXPECTED_VERSION);
    };
    let version = libtorch::version(folder).map_or("of an unknown version".to_owned(), |(version, _)| version);
    format!("{version} from {}", folder.display())
}

/// What libtorch was built with, what the driver knows, and which GPU is there.
fn cuda_line(folder: Option<&Path>) -> String {
    let Some(built) = folder.and_then(libtorch::cuda_version) else { return "this libtorch is the CPU's".to_owned() };
    let has_half = folder.is_some_and(|folder| folder.join("lib/libtorch_cuda.so").exists());
    let built = if has_half { format!("{built} in libtorch") } else { "not in this libtorch".to_owned() };
    let driver = device::driver_cuda_version().map_or(String::new(), |version| format!(", {version} in the driver"));
    let gpu = match device::gpus() {
        Ok(gpus) => gpus.name(0).unwrap_or("a GPU without a name".to_owned()),
        Err(reason) => format!("not used: {reason}"),
    };
    format!("{built}{driver}; {gpu}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbose_is_a_flag_of_its_own_or_a_letter() {
        let said = |line: &str| is_verbose(line.split(' ').map(OsString::from));
        assert!(
            said("convnet -V -v") && said("convnet -vV") && said("convnet --version --verbose") && said("convnet -Vv")
        );
        assert!(!said("convnet -V") && !said("convnet --version") && !said("v -V --vv"));
    }
}
