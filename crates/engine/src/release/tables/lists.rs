//! Lists with an entry per line: `domains` and `lines`. Blank lines and `#` comments do not count.

use crate::release::tables::{Report, Source};
use hookgate_model::finding::Finding;
use hookgate_script::table::{Filling, Table, domain_entry};

/// Providers with so many ordinary users that an entry is a mistake of the list (several published lists of throw-away
/// domains hold some of them). `name.*` is the name under any public suffix.
const PROVIDERS: [&str; 24] = [
    "aol.com",
    "apple.com",
    "fastmail.com",
    "gmail.com",
    "gmx.*",
    "google.com",
    "googlemail.com",
    "hotmail.*",
    "icloud.com",
    "live.*",
    "mac.com",
    "mail.ru",
    "me.com",
    "microsoft.com",
    "msn.com",
    "naver.com",
    "office365.com",
    "outlook.*",
    "proton.me",
    "protonmail.com",
    "qq.com",
    "web.de",
    "yahoo.*",
    "yandex.*",
];

pub(super) fn domains(source: &Source<'_>, text: &str, report: &mut Report) -> Table {
    let mut entries = Filling::new(text.len());
    for (line, column, entry) in entries_of(text) {
        let Some((domain, reach)) = domain_entry(entry) else {
            report.error(|| {
                Finding::error("table/bad-domain", source.file, format!("`{}` is not a domain", shortened(entry)))
                    .at(text, line, column)
                    .help("write `foo.tld` (with its subdomains) or `*.foo.tld` (subdomains only), one per line")
            });
            continue;
        };
        if is_public_suffix(&domain) {
            report.error(|| {
                let message = format!("`{entry}` is a public suffix: it would cover everybody's domains below it");
                Finding::error("table/public-suffix", source.file, message)
                    .at(text, line, column)
                    .help("remove the line")
            });
            continue;
        }
        if is_provider(&domain) {
            report.warning(|| {
                let message = format!("`{entry}` is a large provider of ordinary mailboxes: the entry is not applied");
                Finding::warning("table/provider", source.file, message)
                    .at(text, line, column)
                    .help("remove the line; to decide about this provider name it in the script")
            });
            continue;
        }
        if !entries.domain(&domain, reach) {
            report.warning(|| {
                let wanted = (domain, reach);
                let same = |other: &str| domain_entry(other).is_some_and(|other| other == wanted);
                duplicate(source, text, (line, column), entry, same)
            });
        }
    }
    entries.domains(source.name)
}

pub(super) fn lines(source: &Source<'_>, text: &str, report: &mut Report) -> Table {
    let mut entries = Filling::new(text.len());
    for (line, column, entry) in entries_of(text) {
        if !entries.line(entry) {
            report.warning(|| duplicate(source, text, (line, column), entry, |other| other == entry));
        }
    }
    entries.lines(source.name)
}

/// Line, column (both from 1, in characters) and text of each entry. A comment is a line that begins with `#`, or what
/// follows a blank and `#`.
fn entries_of(text: &str) -> impl Iterator<Item = (usize, usize, &str)> {
    text.lines().enumerate().filter_map(|(index, line)| {
        let comment =
            line.match_indices('#').find(|(at, _)| line[..*at].chars().next_back().is_none_or(char::is_whitespace));
        let line = comment.map_or(line, |(at, _)| &line[..at]);
        let entry = line.trim();
        let indent = line.len() - line.trim_start().len();
        (!entry.is_empty()).then(|| (index + 1, line[..indent].chars().count() + 1, entry))
    })
}

/// The first line is looked for once it is needed: to keep it of all entries would take more memory than the table.
fn duplicate(
    source: &Source<'_>,
    text: &str,
    (line, column): (usize, usize),
    entry: &str,
    same: impl Fn(&str) -> bool,
) -> Finding {
    let first = entries_of(text).find(|(.., other)| same(other)).map_or(0, |(first, ..)| first);
    let message = format!("`{}` is already in line {first}", shortened(entry));
    Finding::warning("table/duplicate", source.file, message).at(text, line, column)
}

fn shortened(entry: &str) -> &str {
    entry.char_indices().nth(80).map_or(entry, |(end, _)| &entry[..end])
}

/// Registries' suffixes only (`com.ar`, `co.uk`, and bare top-level domains). Suffixes of private services
/// (`duckdns.org`) are single services that a list may well name.
fn is_public_suffix(domain: &str) -> bool {
    if !domain.contains('.') {
        return true;
    }
    // The list has its entries in U-labels and A-labels alike; `domain` is in A-labels.
    psl::suffix(domain.as_bytes()).is_some_and(|suffix| {
        suffix.is_known() && suffix.as_bytes() == domain.as_bytes() && suffix.typ() == Some(psl::Type::Icann)
    })
}

fn is_provider(domain: &str) -> bool {
    let named = |provider: &&str| match provider.strip_suffix(".*") {
        Some(name) => domain
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(|suffix| psl::suffix_str(domain).is_some_and(|known| known == suffix)),
        None => *provider == domain,
    };
    PROVIDERS.iter().any(named)
}
