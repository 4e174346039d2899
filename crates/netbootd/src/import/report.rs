//! What became of every line that was read.

use std::fmt;

/// Everything that was found, each with its place.
#[derive(Debug, Default)]
pub struct Report {
    files: Vec<String>,
    lines: Vec<Line>,
}

/// A line of the report, as a number that stays.
pub type LineId = usize;

/// What became of one thing that was found.
#[derive(Debug)]
pub struct Line {
    file: usize,
    line: usize,
    /// Its name: a parameter, a section in brackets, a setting of dnsmasq, a folder.
    pub name: String,
    /// Our keys that have its value now; one for each value.
    pub keys: Vec<String>,
    notes: Vec<String>,
    needless: bool,
}

impl Report {
    /// A file whose lines are told after those of the files before.
    pub fn file(&mut self, name: &str) -> usize {
        self.files.push(name.to_owned());
        self.files.len() - 1
    }

    /// Something that was found in a file; line 0: the file as a whole.
    pub fn found(&mut self, file: usize, line: usize, name: &str) -> LineId {
        self.lines.push(Line {
            file,
            line,
            name: shown(name),
            keys: Vec::new(),
            notes: Vec::new(),
            needless: false,
        });
        self.lines.len() - 1
    }

    /// A key of ours has it.
    pub fn mapped(&mut self, id: LineId, key: String) {
        self.lines[id].keys.push(key);
    }

    /// More to know about it; for what no key has, why.
    pub fn note(&mut self, id: LineId, note: impl Into<String>) {
        // It may hold text of somebody's file, and is for a terminal.
        let note = note.into().replace(char::is_control, " ");
        let notes = &mut self.lines[id].notes;
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// No key has it and none is missed.
    pub fn needless(&mut self, id: LineId, why: impl Into<String>) {
        self.note(id, why);
        self.lines[id].needless = true;
    }

    /// Another key has it.
    pub fn renamed(&mut self, id: LineId, from: &str, to: String) {
        for key in self.lines[id].keys.iter_mut().filter(|key| *key == from) {
            key.clone_from(&to);
        }
    }

    /// A key has it no longer.
    pub fn dropped(&mut self, id: LineId, key: &str, why: String) {
        let keys = &mut self.lines[id].keys;
        if let Some(at) = keys.iter().position(|each| each == key) {
            keys.remove(at);
        }
        self.note(id, why);
    }

    /// `FILE:LINE` of a line.
    pub fn place(&self, id: LineId) -> String {
        let Line { file, line, .. } = self.lines[id];
        match line {
            0 => self.files[file].clone(),
            _ => format!("{}:{line}", self.files[file]),
        }
    }

    /// Gives a reason to what no key has and nothing was said of.
    pub fn finish(&mut self) {
        for line in &mut self.lines {
            if line.keys.is_empty() && line.notes.is_empty() {
                line.notes.push("it says nothing".to_owned());
            }
        }
    }

    /// All lines, in the order of the files.
    #[cfg(test)]
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.sorted().into_iter().map(|id| &self.lines[id])
    }

    fn sorted(&self) -> Vec<LineId> {
        let mut ids: Vec<LineId> = (0..self.lines.len()).collect();
        ids.sort_by_key(|id| (self.lines[*id].file, self.lines[*id].line, *id));
        ids
    }
}

impl Line {
    /// Whether one of our keys has its value.
    pub fn is_mapped(&self) -> bool {
        !self.keys.is_empty()
    }

    /// What became of it, in words.
    pub fn fate(&self) -> String {
        let mut keys: Vec<&str> = Vec::new();
        for key in &self.keys {
            if !keys.contains(&key.as_str()) {
                keys.push(key);
            }
        }
        let notes = self.notes.join("; ");
        match (self.is_mapped(), self.needless) {
            (true, _) if notes.is_empty() => format!("mapped to {}", keys.join(", ")),
            (true, _) => format!("mapped to {} ({notes})", keys.join(", ")),
            (false, true) => format!("not needed: {notes}"),
            (false, false) => format!("not carried: {notes}"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for id in self.sorted() {
            let line = &self.lines[id];
            writeln!(f, "{}: {}: {}", self.place(id), line.name, line.fate())?;
        }
        let mapped = self.lines.iter().filter(|line| line.is_mapped()).count();
        let needless = self
            .lines
            .iter()
            .filter(|l| !l.is_mapped() && l.needless)
            .count();
        let left = self.lines.len() - mapped - needless;
        write!(
            f,
            "{mapped} mapped, {needless} not needed, {left} not carried"
        )
    }
}

/// Text of somebody's file on one line of a terminal, shortened.
pub fn shown(text: &str) -> String {
    let mut letters = text.trim().chars();
    let start: String = letters
        .by_ref()
        .take(120)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    match letters.next() {
        Some(_) => format!("{start}…"),
        None => start,
    }
}
