//! What is wrong with a configuration, where, why that matters, and what to write instead.

use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is used; the operator probably meant something else.
    Warning,
}

macro_rules! codes {
    ($($(#[doc = $text:literal])+ $name:ident = $number:literal,)+) => {
        /// The closed list of problems. A number never changes its meaning; displays as `C012`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Code {
            $($(#[doc = $text])+ $name = $number,)+
        }

        impl Code {
            /// Every code with its sentence, for the reference page.
            pub const ALL: &'static [(Self, &'static str)] = &[
                $((Self::$name, concat!($($text),+)),)+
            ];
        }
    };
}

codes! {
    /// The file cannot be read.
    Unreadable = 1,
    /// The file is not TOML.
    Syntax = 2,
    /// There is no such key.
    UnknownKey = 3,
    /// The value has another type than the key wants.
    WrongType = 4,
    /// The word is not one of those that the key knows.
    WrongWord = 5,
    /// The text is not an IP address, or one that no machine can have.
    BadAddress = 6,
    /// A pool is not `first-last`.
    BadPool = 7,
    /// Two pools share addresses.
    PoolOverlap = 8,
    /// A pool or a router lies outside of the subnet of its server or its table.
    OutsideSubnet = 9,
    /// A lease time is not a time, or outside of 2m to 30d.
    BadLeaseTime = 10,
    /// The name of a `clients` table is nothing that a client is known by: no MAC address, UUID or identifier.
    BadMac = 11,
    /// The text is not a host name or a domain.
    BadHostname = 12,
    /// Two clients want the same address, name or table.
    DuplicateClient = 13,
    /// The text is not an OpenSSH public key.
    BadSshKey = 14,
    /// A private key stands where a public key belongs.
    PrivateKey = 15,
    /// A path is not absolute, or a file name is a path.
    BadPath = 16,
    /// Kernel arguments that would not reach the kernel as written.
    BadKernelArguments = 17,
    /// A number is too small or too big.
    OutOfRange = 18,
    /// A user or group name that a Linux system refuses, or has already.
    BadUserName = 19,
    /// The text is not an image name.
    BadImageName = 20,
    /// A domain that clients do not look up over DNS.
    UnsuitableDomain = 21,
    /// The name of a `subnets` table is not a network.
    BadNetwork = 22,
    /// A name cannot be that of a network card.
    BadInterfaceName = 23,
    /// Two services want the same port.
    PortConflict = 24,
    /// A value has no effect.
    NoEffect = 25,
    /// The same address is given to two machines.
    AddressConflict = 26,
    /// Two users have the same number.
    DuplicateUid = 27,
    /// A table lacks a key that it cannot do without.
    MissingKey = 28,
    /// The name of an `exports` table cannot be a folder's.
    BadExportName = 29,
    /// A pattern that no client can match, or a name that no group can have.
    BadPattern = 30,
    /// The text is not a unit of systemd.
    BadUnit = 31,
    /// The text is not a line of fstab(5).
    BadFstab = 32,
    /// A command that is empty or has more than one line.
    BadCommand = 33,
    /// There is no group or user of this name.
    UnknownName = 34,
    /// Groups include each other in a circle.
    CircularInclude = 35,
    /// A DHCP option that does not exist, that netbootd sets by itself, or that cannot hold the value.
    BadOption = 36,
    /// A network card cannot be the way out of another one's network.
    BadUplink = 37,
    /// A service is not like `_ntp._udp`, or has no host and port.
    BadService = 38,
    /// This machine has no such network card.
    InterfaceMissing = 101,
    /// The card does not have the address.
    AddressMissing = 102,
    /// A pool, a router or a reserved address lies outside of the networks that the cards have.
    OutsideNetwork = 103,
    /// There is no such image.
    ImageMissing = 104,
    /// Another program has the port.
    PortTaken = 105,
    /// A loader is nowhere to be found.
    LoaderMissing = 106,
    /// What network address translation needs is missing, nft or the right to use it, or iptables-legacy drops.
    NatImpossible = 107,
    /// systemd-resolved cannot be told of the domain.
    ResolvedNotTold = 108,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "C{:03}", *self as u16)
    }
}

/// One problem. Displays over several lines, as a compiler shows it, without a final newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which problem.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// The file's path as it was given, or `environment variable …`, or `command line …`; empty when
    /// no single place is to blame.
    pub file: String,
    /// Line in the file, from 1; 0 when the place is not in a file.
    pub line: usize,
    /// Column in the line in characters, from 1; 0 when the place is not in a file.
    pub column: usize,
    /// The text of that line.
    pub source: String,
    /// How many characters of it are meant, from `column`.
    pub width: usize,
    /// What is wrong.
    pub what: String,
    /// Why it matters.
    pub why: String,
    /// What to write or do instead, if that can be said.
    pub suggestion: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{word}[{}]: {}", self.code, self.what)?;
        if self.line > 0 {
            writeln!(f, "  --> {}:{}:{}", self.file, self.line, self.column)?;
            let number = self.line.to_string();
            let margin = " ".repeat(number.len());
            writeln!(f, " {margin} |")?;
            writeln!(f, " {number} | {}", self.source)?;
            // Tabs stay tabs, so that the caret stands where the eye looks.
            let before = self.source.chars().take(self.column.saturating_sub(1));
            let indent: String = before.map(|c| if c == '\t' { c } else { ' ' }).collect();
            writeln!(f, " {margin} | {indent}{}", "^".repeat(self.width.max(1)))?;
        } else if !self.file.is_empty() {
            writeln!(f, "  --> {}", self.file)?;
        }
        write!(f, "  why: {}", self.why)?;
        if let Some(suggestion) = &self.suggestion {
            write!(f, "\n  help: {suggestion}")?;
        }
        Ok(())
    }
}

/// All that is wrong with a configuration, in the order of the file. Holds at least one error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.0 {
            writeln!(f, "{diagnostic}\n")?;
        }
        let errors = self
            .0
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .count();
        let warnings = self.0.len() - errors;
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        write!(f, "{errors} error{}", plural(errors))?;
        if warnings > 0 {
            write!(f, ", {warnings} warning{}", plural(warnings))?;
        }
        f.write_str(" in the configuration")
    }
}

impl std::error::Error for Diagnostics {}

/// A problem before it has a place.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    pub(crate) severity: Severity,
    pub(crate) what: String,
    pub(crate) why: String,
    pub(crate) help: Option<String>,
}

impl Fault {
    pub(crate) fn new(code: Code, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            what: what.into(),
            why: why.into(),
            help: None,
        }
    }

    pub(crate) fn warning(self) -> Self {
        Self {
            severity: Severity::Warning,
            ..self
        }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }
}
