//! MODE SENSE: where the elements are and which moves are possible (SMC-3, "Mode parameters"). Nothing can be changed.

use super::Changer;
use crate::{
    drive::call::{Call, CommandResult},
    library::place::ElementType,
    sense::Sense,
};

const ELEMENT_ADDRESS_ASSIGNMENT: u8 = 0x1D;
const TRANSPORT_GEOMETRY: u8 = 0x1E;
const DEVICE_CAPABILITIES: u8 = 0x1F;
const ALL_PAGES: u8 = 0x3F;
const PAGES: [u8; 3] = [ELEMENT_ADDRESS_ASSIGNMENT, TRANSPORT_GEOMETRY, DEVICE_CAPABILITIES];

impl Changer {
    /// MODE SENSE(6) and (10).
    pub(super) fn mode_sense(&self, call: Call<'_>) -> CommandResult {
        const MODE_SENSE_6: u8 = 0x1A;
        const CHANGEABLE: u8 = 1;
        const SAVED: u8 = 3;
        let short = call.cdb.byte(0) == MODE_SENSE_6;
        let (control, code, subpage) = (call.cdb.byte(2) >> 6, call.cdb.byte(2) & 0x3F, call.cdb.byte(3));
        if control == SAVED {
            return Err(Sense::new(0x5, 0x39, 0x00).into());
        }
        let wanted: Vec<u8> = PAGES
            .into_iter()
            .filter(|page| *page == code || code == ALL_PAGES)
            .collect();
        // Page 00h stands for the header alone.
        if wanted.is_empty() && code != 0 {
            return Err(Sense::invalid_cdb_field(2, 5).into());
        }
        if subpage != 0 && (code, subpage) != (ALL_PAGES, 0xFF) {
            return Err(Sense::invalid_cdb_field(3, 7).into());
        }
        let mut pages = Vec::new();
        for code in wanted {
            let mut body = self.page_body(code);
            if control == CHANGEABLE {
                body.fill(0);
            }
            pages.extend_from_slice(&[code, u8::try_from(body.len()).unwrap_or(u8::MAX)]);
            pages.extend_from_slice(&body);
        }
        let (answer, allocation_length) = if short {
            let length = u8::try_from(pages.len() + 3).unwrap_or(u8::MAX);
            (vec![length, 0, 0, 0], u32::from(call.cdb.byte(4)))
        } else {
            let [high, low] = u16::try_from(pages.len() + 6).unwrap_or(u16::MAX).to_be_bytes();
            (vec![high, low, 0, 0, 0, 0, 0, 0], u32::from(call.cdb.u16(7)))
        };
        let answer = [answer, pages].concat();
        call.reply(&answer, allocation_length)
    }

    fn page_body(&self, code: u8) -> Vec<u8> {
        match code {
            ELEMENT_ADDRESS_ASSIGNMENT => self.element_addresses(),
            TRANSPORT_GEOMETRY => self.transport_geometry(),
            _ => self.capabilities(),
        }
    }

    fn element_addresses(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for range in &self.ranges {
            let first = if range.count == 0 { 0 } else { range.first };
            body.extend_from_slice(&first.to_be_bytes());
            body.extend_from_slice(&range.count.to_be_bytes());
        }
        body.resize(18, 0);
        body
    }

    /// No transport can turn a cartridge over; they are numbered as members of one set.
    fn transport_geometry(&self) -> Vec<u8> {
        const MEMBERS_SHOWN: u16 = 100;
        let transports = self.robot.count(ElementType::MediumTransport).min(MEMBERS_SHOWN);
        (0..transports)
            .flat_map(|member| [0, u8::try_from(member).unwrap_or(u8::MAX)])
            .collect()
    }

    /// Every kind but the transport keeps cartridges, and cartridges go from each of them to each.
    fn capabilities(&self) -> Vec<u8> {
        const STORAGE: u8 = 0x02;
        const IMPORT_EXPORT: u8 = 0x04;
        const DATA_TRANSFER: u8 = 0x08;
        let station = self.robot.count(ElementType::ImportExport) > 0;
        let kinds = STORAGE | DATA_TRANSFER | if station { IMPORT_EXPORT } else { 0 };
        let from_station = if station { kinds } else { 0 };
        let mut body = vec![kinds, 0];
        body.extend_from_slice(&[0, kinds, from_station, kinds]);
        body.extend_from_slice(&[0; 4]);
        body.extend_from_slice(&[0, kinds, from_station, kinds]);
        body.resize(18, 0);
        body
    }
}
