//! Images of containers: an OCI layout (folder or archive), or what `docker save` writes.
//!
//! ```text
//! OCI:     index.json ─► (index ─►) manifest ─► config, layers      each named by its digest
//! docker:  manifest.json ─► config ─► digests of the unpacked layers
//! ```
//!
//! Each digest is held against what was read, before anything is published.

use std::io::{self, Read};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Error;
use super::archive::{Begun, FilePart, Stream, Streamed, Verify};
use super::blobs::Blobs;
use super::gathered::{Placed, Whiteouts};
use super::packing::Packing;
use crate::hex;
use crate::tar::Input;

/// Indexes may name indexes.
const DEPTH: usize = 4;
/// More layers than overlayfs or docker take.
const LAYERS_LIMIT: usize = 1000;

/// A layer, as the image describes it.
struct Described {
    /// Where it is.
    path: String,
    /// As messages call it.
    name: String,
    /// SHA-256 of what is stored, and its length, where they are told.
    stored: Option<(String, u64)>,
    /// SHA-256 of what it unpacks to, where that is told.
    unpacked: Option<String>,
}

/// The layers of the image in `blobs`, lowest first.
pub(super) fn layers(name: &str, blobs: &Arc<Blobs>) -> Result<Vec<Placed>, Error> {
    let image = Image { name, blobs };
    let described = match blobs.has("index.json") {
        true => image.of_index()?,
        false => image.of_docker()?,
    };
    if described.is_empty() || described.len() > LAYERS_LIMIT {
        let count = described.len();
        return Err(image.refuse(&format!("it has {count} layers")));
    }
    let layers = described.into_iter().map(|layer| -> Placed {
        let blobs = Arc::clone(blobs);
        let layer = Streamed::new(LayerStream { blobs, layer });
        (Box::new(layer), Whiteouts::Container)
    });
    Ok(layers.collect())
}

struct Image<'a> {
    name: &'a str,
    blobs: &'a Blobs,
}

impl Image<'_> {
    fn refuse(&self, what: &str) -> Error {
        Error::Broken {
            name: self.name.to_owned(),
            what: what.to_owned(),
        }
    }

    fn json(&self, path: &str, digest: Option<&str>) -> Result<Value, Error> {
        let bytes = self.blobs.read(path);
        let bytes = bytes.map_err(|cause| self.refuse(&format!("cannot read {path}: {cause}")))?;
        if let Some(digest) = digest
            && hex(&Sha256::digest(&bytes)) != digest
        {
            return Err(self.refuse(&format!("{path} does not have its digest")));
        }
        let parsed = serde_json::from_slice(&bytes);
        parsed.map_err(|error| self.refuse(&format!("{path} is not JSON: {error}")))
    }

    /// The blob that a descriptor names: its digest and description.
    fn blob(&self, descriptor: &Value) -> Result<Value, Error> {
        let digest = self.digest(&descriptor["digest"])?;
        self.json(&blob_path(digest), Some(digest))
    }

    /// The digits of a digest.
    fn digest<'v>(&self, value: &'v Value) -> Result<&'v str, Error> {
        let text = value.as_str().unwrap_or_default();
        let digits = text.strip_prefix("sha256:").unwrap_or_default();
        let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() == 64 && digits.bytes().all(lower) {
            return Ok(digits);
        }
        Err(self.refuse(&format!("{text:?} is not a digest (sha256:…)")))
    }

    fn of_index(&self) -> Result<Vec<Described>, Error> {
        let mut index = self.json("index.json", None)?;
        for _ in 0..DEPTH {
            let found = self.blob(self.chosen(&index)?)?;
            if found["manifests"].is_array() {
                index = found;
                continue;
            }
            return self.of_manifest(&found);
        }
        Err(self.refuse("its indexes name each other without end"))
    }

    /// The manifest for this machine, or the only one.
    fn chosen<'v>(&self, index: &'v Value) -> Result<&'v Value, Error> {
        let manifests = index["manifests"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let ours = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let is_ours = |manifest: &&Value| {
            let platform = &manifest["platform"];
            platform["architecture"] == ours && platform["os"] == "linux"
        };
        let mut candidates: Vec<_> = manifests.iter().filter(is_ours).collect();
        if candidates.is_empty() {
            candidates = manifests.iter().collect();
        }
        match &candidates[..] {
            [one] => Ok(one),
            [] => Err(self.refuse("it has no image")),
            several => {
                let names = several.iter().map(|manifest| {
                    let name = &manifest["annotations"]["org.opencontainers.image.ref.name"];
                    name.as_str().unwrap_or("one without a name").to_owned()
                });
                let names: Vec<_> = names.collect();
                let what = format!("it has several images, copy one out: {}", names.join(", "));
                Err(self.refuse(&what))
            }
        }
    }

    fn of_manifest(&self, manifest: &Value) -> Result<Vec<Described>, Error> {
        let config = self.blob(&manifest["config"])?;
        let layers = manifest["layers"].as_array();
        let layers = layers.ok_or_else(|| self.refuse("its manifest names no layers"))?;
        let count = layers.len();
        let layers = layers.iter().enumerate().map(|(number, layer)| {
            let digest = self.digest(&layer["digest"])?;
            let size = layer["size"].as_u64();
            let size = size.ok_or_else(|| self.refuse("a layer without a size"))?;
            Ok(Described {
                path: blob_path(digest),
                name: format!(
                    "{}: layer {} of {count} (sha256:{digest})",
                    self.name,
                    number + 1
                ),
                stored: Some((digest.to_owned(), size)),
                unpacked: self.unpacked(&config, number)?,
            })
        });
        layers.collect()
    }

    fn of_docker(&self) -> Result<Vec<Described>, Error> {
        let manifest = self.json("manifest.json", None)?;
        let images = manifest.as_array().map(Vec::as_slice).unwrap_or_default();
        let [image] = images else {
            let tags = images.iter().map(|image| image["RepoTags"].to_string());
            let tags: Vec<_> = tags.collect();
            let what = format!(
                "it has {} images, save one alone: {}",
                images.len(),
                tags.join(" ")
            );
            return Err(self.refuse(&what));
        };
        let config = image["Config"].as_str();
        let config = config.ok_or_else(|| self.refuse("its manifest names no configuration"))?;
        // Named by its digest, in all versions of docker.
        let digest = config
            .rsplit('/')
            .next()
            .and_then(|name| name.split('.').next());
        let digest = digest.filter(|digest| digest.len() == 64);
        let config = self.json(config, digest)?;
        let layers = image["Layers"].as_array();
        let layers = layers.ok_or_else(|| self.refuse("its manifest names no layers"))?;
        let count = layers.len();
        let layers = layers.iter().enumerate().map(|(number, path)| {
            let path = path.as_str();
            let path = path.ok_or_else(|| self.refuse("a layer without a name"))?;
            let unpacked = self.unpacked(&config, number)?;
            let unpacked = unpacked.ok_or_else(|| {
                self.refuse(&format!("layer {} of {count} has no digest", number + 1))
            })?;
            Ok(Described {
                path: path.to_owned(),
                name: format!("{}: layer {} of {count} ({path})", self.name, number + 1),
                stored: None,
                unpacked: Some(unpacked),
            })
        });
        layers.collect()
    }

    /// The digest of a layer once it is unpacked.
    fn unpacked(&self, config: &Value, number: usize) -> Result<Option<String>, Error> {
        match &config["rootfs"]["diff_ids"][number] {
            Value::Null => Ok(None),
            digest => self.digest(digest).map(|digest| Some(digest.to_owned())),
        }
    }
}

fn blob_path(digest: &str) -> String {
    format!("blobs/sha256/{digest}")
}

/// A layer as an archive that is read from front to end.
struct LayerStream {
    blobs: Arc<Blobs>,
    layer: Described,
}

impl Stream for LayerStream {
    fn name(&self) -> &str {
        &self.layer.name
    }

    fn begin<'a>(&'a self, _stop: &'a AtomicBool) -> io::Result<Begun<'a>> {
        let (mut head, length) = self.blobs.open(&self.layer.path)?;
        if let Some((_, told)) = &self.layer.stored
            && *told != length
        {
            let text = format!("it has {length} bytes, and should have {told}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let mut first = [0; 8];
        let count = head.read(&mut first)?;
        let packing = Packing::of(&first[..count]);
        let (part, _) = self.blobs.open(&self.layer.path)?;
        let stored = Hashed::new(part);
        let unpacked = Hashed::new(packing.open(Box::new(stored.clone()))?);
        let layer = (self.layer.stored.clone(), self.layer.unpacked.clone());
        let (name, of_unpacked) = (self.layer.name.clone(), unpacked.digest());
        let verify: Verify = Box::new(move || {
            let wrong = |what: &str| Error::Broken {
                name: name.clone(),
                what: format!("{what}: damaged, or not what was published"),
            };
            if let Some((told, _)) = layer.0 {
                // Whatever follows what was unpacked belongs to the digest too.
                let mut stored = stored;
                let read = io::copy(&mut stored, &mut io::sink());
                if read.is_err() || stored.digest().finish() != told {
                    return Err(wrong("it does not have its digest"));
                }
            }
            match layer.1 {
                Some(told) if of_unpacked.finish() != told => {
                    Err(wrong("what it unpacks to does not have its digest"))
                }
                _ => Ok(()),
            }
        });
        Ok((Box::new(unpacked), Some(verify)))
    }
}

/// Hashes what is read through it. Clones read on where the others are.
struct Hashed<R> {
    inner: Arc<Mutex<R>>,
    hash: Running,
}

/// A digest that is being computed.
#[derive(Clone, Default)]
struct Running(Arc<Mutex<Sha256>>);

impl Running {
    fn update(&self, bytes: &[u8]) {
        let mut hash = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hash.update(bytes);
    }

    fn finish(&self) -> String {
        let hash = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hex(&hash.clone().finalize())
    }
}

impl<R> Hashed<R> {
    fn new(inner: R) -> Self {
        Self {
            inner: Arc::new(Mutex::new(inner)),
            hash: Running::default(),
        }
    }

    fn digest(&self) -> Running {
        self.hash.clone()
    }
}

impl Clone for Hashed<FilePart> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            hash: self.hash.clone(),
        }
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let count = inner.read(buf)?;
        self.hash.update(&buf[..count]);
        Ok(count)
    }
}

impl<R: Read + Send> Input for Hashed<R> {}
