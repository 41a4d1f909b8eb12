//! The text files of the repository, read once, with paths relative to its root.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

/// Folders whose content nobody wrote here.
const SKIPPED_FOLDERS: &[&str] = &[".git", "target", "node_modules"];
const TEXT_EXTENSIONS: &[&str] = &["rs", "md", "toml", "yaml"];

#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    pub(crate) fn line_count(&self) -> usize {
        self.text.lines().count()
    }

    /// Whether the whole file is test code.
    pub(crate) fn is_test(&self) -> bool {
        self.name() == "tests.rs"
            || self.path.starts_with("fuzz/")
            || self.path.split('/').any(|part| part == "tests")
    }

    /// The text before the inline test module, which by custom ends the file.
    pub(crate) fn product_text(&self) -> &str {
        self.text
            .find("\n#[cfg(test)]\nmod tests {")
            .map_or(&self.text, |end| &self.text[..end])
    }
}

#[derive(Debug)]
pub(crate) struct Tree {
    files: Vec<File>,
}

impl Tree {
    /// # Errors
    /// When a folder or a file cannot be read, or a file is not UTF-8.
    pub(crate) fn load(root: &Path) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        collect(root, "", &mut files)?;
        files.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(Self { files })
    }

    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File {
            path: path.to_string(),
            text: text.to_string(),
        };
        Self {
            files: files.iter().map(file).collect(),
        }
    }

    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.with_extension("rs")
    }

    pub(crate) fn markdown(&self) -> impl Iterator<Item = &File> {
        self.with_extension("md")
    }

    pub(crate) fn under(&self, folder: &str) -> impl Iterator<Item = &File> {
        self.files
            .iter()
            .filter(move |file| file.path.starts_with(folder))
    }

    pub(crate) fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    fn with_extension(&self, extension: &str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| {
            Path::new(&file.path)
                .extension()
                .is_some_and(|own| own == extension)
        })
    }
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<File>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {prefix}"))?;
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = format!("{prefix}{name}");
        // A link is not followed: it could lead in a circle.
        let kind = entry.file_type()?;
        if kind.is_dir() && !SKIPPED_FOLDERS.contains(&name.as_str()) {
            collect(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() && has_text(&name) {
            let text =
                fs::read_to_string(entry.path()).with_context(|| format!("cannot read {path}"))?;
            files.push(File { path, text });
        }
    }
    Ok(())
}

fn has_text(name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, extension)| TEXT_EXTENSIONS.contains(&extension))
}
