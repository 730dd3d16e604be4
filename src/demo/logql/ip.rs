//! Addresses: one, a range, or a network, and how they are found in a line.

use std::net::IpAddr;

/// What addresses are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpMatcher {
    /// From one address to another, both included.
    Range(IpAddr, IpAddr),
    /// A network: its address and the length of its prefix.
    Network(IpAddr, u32),
}

fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(four) => (u128::from(u32::from(four)), 32),
        IpAddr::V6(six) => (u128::from(six), 128),
    }
}

impl IpMatcher {
    /// Reads `10.0.0.1`, `10.0.0.1-10.0.0.9` or `10.0.0.0/8`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some((first, last)) = text.split_once('-') {
            let range = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            return Some(Self::Range(range.0, range.1));
        }
        if let Some((network, prefix)) = text.split_once('/') {
            let (network, prefix) = (network.parse().ok()?, prefix.parse().ok()?);
            return (prefix <= bits(network).1).then_some(Self::Network(network, prefix));
        }
        let address = text.parse().ok()?;
        Some(Self::Range(address, address))
    }

    /// Says whether an address is meant.
    pub fn takes(&self, address: IpAddr) -> bool {
        let (value, width) = bits(address);
        match self {
            Self::Range(first, last) => {
                let ((first, one), (last, other)) = (bits(*first), bits(*last));
                one == width && other == width && (first..=last).contains(&value)
            }
            Self::Network(network, prefix) => {
                let (network, own) = bits(*network);
                let shift = own - prefix;
                own == width && (shift >= 128 || value >> shift == network >> shift)
            }
        }
    }

    /// Says whether a line contains such an address.
    pub fn found(&self, line: &str) -> bool {
        line.split(|c: char| !c.is_ascii_hexdigit() && c != '.' && c != ':').any(|word| {
            let word = word.trim_end_matches(['.', ':']);
            // `10.0.0.1:443` is an address with a port.
            let host =
                if word.matches(':').count() == 1 { word.split(':').next().unwrap_or(word) } else { word };
            host.len() >= 3 && host.parse::<IpAddr>().is_ok_and(|address| self.takes(address))
        })
    }
}
