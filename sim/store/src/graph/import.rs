//! Bringing a whole graph in at once, built in memory: pages go to the files as they are.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::string::ToString;

use super::directory::{Directory, holds_records, is_store, sync_directory};
use super::{Graph, GraphError, take};
use crate::config::StoreConfig;
use crate::image::{Image, ImageFile};

impl Graph {
    /// Puts an image into a directory that holds no graph, and opens it. The meta file comes
    /// last: until then, a crash leaves a directory that is [`GraphError::Incomplete`], never
    /// one that opens as half of a graph.
    ///
    /// # Errors
    /// [`GraphError::NotEmpty`] if something is in the directory, [`GraphError::Incomplete`] if it
    /// is what an import left that did not come to its end; [`GraphError::InUse`]; the file
    /// system may fail.
    ///
    /// ```
    /// use wavetank_store::{Graph, ImageBuilder, TokenKind};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let mut image = ImageBuilder::new(1);
    /// let label = image.token(TokenKind::Label, "User")?;
    /// image.add_node(&[label], &[])?;
    /// let mut graph = Graph::import(directory.path().join("graph"), &image.finish())?;
    /// assert_eq!(graph.read(|tx| tx.nodes_with("User"))?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn import(directory: impl AsRef<Path>, image: &Image) -> Result<Graph, GraphError> {
        let directory = directory.as_ref();
        let failed = |what: &Path| {
            let what = what.display().to_string();
            move |source| GraphError::Files { what, source }
        };
        if directory.exists() {
            let mut entries = fs::read_dir(directory).map_err(failed(directory))?;
            if entries.next().is_some() {
                if !is_store(directory) && holds_records(directory) {
                    return Err(GraphError::Incomplete(directory.to_path_buf()));
                }
                return Err(GraphError::NotEmpty(directory.to_path_buf()));
            }
        }
        let taken = take(directory, Directory::new)?;
        for (is_meta, (name, file)) in image.meta_last() {
            if is_meta {
                sync_directory(directory).map_err(failed(directory))?;
            }
            let path = directory.join(name.to_string());
            write(&path, file).map_err(failed(&path))?;
        }
        sync_directory(directory).map_err(failed(directory))?;
        drop(taken);
        let mut graph = Graph::open_with(directory, StoreConfig::default())?;
        graph.write_both_meta_pages()?;
        Ok(graph)
    }
}

fn write(path: &Path, file: &ImageFile) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create_new(path)?);
    match file {
        ImageFile::Pages(pages) => pages.iter().try_for_each(|page| out.write_all(page.bytes()))?,
        ImageFile::Bytes(bytes) => out.write_all(bytes)?,
    }
    out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()
}
