//! onnxruntime, where it is on this machine: a shared library that is loaded when a file is to be tried.

use std::ffi::{CStr, OsString};
use std::path::PathBuf;

use libloading::{Library, library_filename};
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::Session;
use ort::value::TensorRef;
use tch::{Kind, Tensor};

use crate::error::{Error, ErrorKind, Result};

/// The variable that names onnxruntime's shared library, as for other programs in Rust (<https://ort.pyke.io/>).
pub(super) const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// A loaded onnxruntime.
pub(super) struct Runtime {
    /// Its version: `1.22.0`.
    pub version: String,
    environment: Environment,
}

impl Runtime {
    /// The one that [`LIBRARY_VARIABLE`] names, else the one that the system finds by its usual name; none where there is none.
    ///
    /// # Errors
    /// A configuration error where the one that is named cannot be loaded.
    pub fn find() -> Result<Option<Self>> {
        match std::env::var_os(LIBRARY_VARIABLE).filter(|name| !name.is_empty()) {
            Some(path) => Runtime::load(path.clone()).map(Some).map_err(|reason| {
                Error::config(format!("{LIBRARY_VARIABLE} names no onnxruntime that can be loaded"))
                    .expected(format!("libonnxruntime.so of version 1.{} or newer", ort::MINOR_VERSION))
                    .because(reason)
                    .at_path(&PathBuf::from(path))
            }),
            None => Ok(Runtime::load(library_filename("onnxruntime")).ok()),
        }
    }

    fn load(name: OsString) -> Result<Self, String> {
        // a path is one from here, not from where the program lies
        let name = match PathBuf::from(&name) {
            path if path.components().count() > 1 => std::path::absolute(path).map_err(|error| error.to_string())?,
            path => path,
        };
        let version = version(&name)?;
        let environment = ort::init_from(&name).map_err(|error| error.to_string())?.build();
        Ok(Runtime { version, environment: environment.map_err(|error| error.to_string())? })
    }

    /// What the model in `file` makes of each of `batches`, `u8` or `f32 [_, H, W, C]`: its first output, f32.
    ///
    /// # Errors
    /// A check error where onnxruntime does not take the file or the images.
    pub fn run(&self, file: &[u8], batches: &[Tensor]) -> Result<Vec<Tensor>> {
        self.outputs(file, batches)
            .map_err(|reason| Error::new(ErrorKind::Check, "onnxruntime does not run the export").because(reason))
    }

    fn outputs(&self, file: &[u8], batches: &[Tensor]) -> ort::Result<Vec<Tensor>> {
        let builder = Session::builder(&self.environment)?.with_log_level(LogLevel::Error)?;
        let mut session = { builder }.commit_from_memory(file)?;
        batches.iter().map(|images| run(&mut session, images)).collect()
    }
}

fn run(session: &mut Session, images: &Tensor) -> ort::Result<Tensor> {
    let (shape, flat) = (images.size(), images.contiguous().view([-1]));
    let outputs = match images.kind() {
        Kind::Uint8 => {
            let pixels = Vec::<u8>::try_from(&flat).expect("a flat u8 tensor on the CPU");
            session.run(ort::inputs![TensorRef::from_array_view((shape, &pixels[..]))?])
        }
        _ => {
            let values = Vec::<f32>::try_from(&flat).expect("a flat f32 tensor on the CPU");
            session.run(ort::inputs![TensorRef::from_array_view((shape, &values[..]))?])
        }
    }?;
    let (shape, values) = outputs[0].try_extract_tensor::<f32>()?;
    Ok(Tensor::from_slice(values).reshape(&shape[..]))
}

/// The version of the onnxruntime in the library called `name`.
fn version(name: &std::path::Path) -> Result<String, String> {
    // SAFETY: whoever names a library, or installs it, lets it run.
    let library = unsafe { Library::new(name) }.map_err(|error| error.to_string())?;
    // SAFETY: the function's type is onnxruntime's own: it returns a table that lives as long as the library.
    let base = unsafe { library.get::<unsafe extern "C" fn() -> *const ort::sys::OrtApiBase>(b"OrtGetApiBase") };
    let base = base.map_err(|error| error.to_string())?;
    // SAFETY: as above; the text lives as long as the library, too.
    let version = unsafe {
        let base = base().as_ref().ok_or("it has no functions")?;
        CStr::from_ptr((base.GetVersionString)()).to_string_lossy().into_owned()
    };
    std::mem::forget(library); // its threads may not outlive its code
    Ok(version)
}
