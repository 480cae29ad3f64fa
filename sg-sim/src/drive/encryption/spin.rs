//! SECURITY PROTOCOL IN (SPC-4): protocol 00h, and the fixed pages of protocol 20h. The two status pages have their own room.

use crate::{
    LibraryManaged,
    drive::{
        Drive,
        call::{Call, CommandResult},
    },
    sense::Sense,
};

const INFORMATION: u8 = 0x00;
const TAPE_DATA_ENCRYPTION: u8 = 0x20;

/// Pages of protocol 20h that can be read, ascending.
const IN_PAGES: [u16; 8] = [0x0000, 0x0001, 0x0010, 0x0011, 0x0012, 0x0020, 0x0021, 0x0030];
/// Pages of protocol 20h that can be written.
const OUT_PAGES: [u16; 1] = [0x0010];
/// SECURITY ALGORITHM CODE of AES-256-GCM with a tag of 128 bits.
const AES_256_GCM_128: u32 = 0x0001_0014;

impl Drive {
    /// SECURITY PROTOCOL IN.
    pub(in crate::drive) fn security_protocol_in(&mut self, call: Call<'_>) -> CommandResult {
        let page_code = call.cdb.u16(2);
        let hidden = self.quirks.library_managed == LibraryManaged::ProtocolHidden;
        let answer = match call.cdb.byte(1) {
            INFORMATION => match page_code {
                0x0000 if hidden => vec![0, 0, 0, 0, 0, 0, 0, 1, INFORMATION],
                0x0000 => vec![0, 0, 0, 0, 0, 0, 0, 2, INFORMATION, TAPE_DATA_ENCRYPTION],
                0x0001 => vec![0; 4],
                _ => return Err(Sense::invalid_cdb_field(2, 7).into()),
            },
            TAPE_DATA_ENCRYPTION if !hidden => {
                if let Some(nexus) = self.nexuses.find_mut(call.nexus) {
                    nexus.registered = true;
                }
                page(page_code, &self.tape_data_encryption_page(&call, page_code)?)
            }
            _ => return Err(Sense::invalid_cdb_field(1, 7).into()),
        };
        let allocation_length = call.cdb.u32(6);
        if self.quirks.fills_allocation_length {
            let mut filled = answer;
            let room = usize::try_from(allocation_length)
                .unwrap_or(usize::MAX)
                .min(call.data_in.len());
            filled.resize(room, 0);
            return call.reply(&filled, allocation_length);
        }
        call.reply(&answer, allocation_length)
    }

    fn tape_data_encryption_page(&mut self, call: &Call<'_>, page_code: u16) -> Result<Vec<u8>, Sense> {
        match page_code {
            0x0000 => Ok(IN_PAGES.iter().flat_map(|code| code.to_be_bytes()).collect()),
            0x0001 => Ok(OUT_PAGES.iter().flat_map(|code| code.to_be_bytes()).collect()),
            0x0010 => Ok(self.data_encryption_capabilities()),
            // One key format: plain keys.
            0x0011 => Ok(vec![0]),
            // LOCK_C; CKOD_C, CKORP_C, CKORL_C; AITN_C, LOCAL_C, PUBLIC_C.
            0x0012 => Ok(vec![0x01, 0x07, 0, 0x07, 0, 0, 0, 0, 0, 0, 0, 0]),
            0x0020 => Ok(self.data_encryption_status(call.nexus)),
            0x0021 => self.next_block_encryption_status(call.nexus),
            0x0030 => {
                let mut random = vec![0; 32];
                self.randomness.fill(&mut random);
                Ok(random)
            }
            _ => Err(Sense::invalid_cdb_field(2, 7)),
        }
    }

    /// Data Encryption Capabilities page (SSC-4): one algorithm, AES-256-GCM.
    fn data_encryption_capabilities(&self) -> Vec<u8> {
        let capabilities = &self.profile.encryption;
        let prevented = self.quirks.library_managed == LibraryManaged::ConfigurationPrevented;
        let mut body = vec![0; 16 + 24];
        let (header, descriptor) = body.split_at_mut(16);
        if let Some(byte) = header.first_mut() {
            let configuration_prevented = match (self.quirks.configuration_prevented_unreported, prevented) {
                (true, _) => 0,
                (false, true) => 2,
                (false, false) => 1,
            };
            *byte = ((capabilities.external_control & 0x03) << 2) | configuration_prevented;
        }
        if let Some(descriptor) = descriptor.first_chunk_mut::<24>() {
            descriptor[0] = capabilities.algorithm_index;
            descriptor[3] = 0x14;
            // AVFMV; MAC_C, DELB_C, DECRYPT_C and ENCRYPT_C in hardware.
            descriptor[4] = if self.medium.is_threaded() { 0xBA } else { 0x3A };
            // AVFCLP; NONCE_C 1: the drive makes the nonce.
            descriptor[5] = (self.validity_at_position() << 6)
                | 0x10
                | (u8::from(capabilities.kad_format_capable) << 3)
                | (u8::from(capabilities.vcelb_capable) << 2)
                | (u8::from(capabilities.u_kad_fixed) << 1)
                | u8::from(capabilities.a_kad_fixed);
            descriptor[6..8].copy_from_slice(&capabilities.u_kad_bytes_max.to_be_bytes());
            descriptor[8..10].copy_from_slice(&capabilities.a_kad_bytes_max.to_be_bytes());
            descriptor[11] = 0x20;
            // DKAD_C; RDMC_C; EAREM: the encryption mode is recorded with the block.
            descriptor[12] = ((capabilities.decryption_kad & 0x03) << 6)
                | ((capabilities.raw_decryption_mode_control & 0x07) << 1)
                | 0x01;
            descriptor[20..24].copy_from_slice(&AES_256_GCM_128.to_be_bytes());
        }
        body
    }

    /// AVFCLP: 0 not applicable, 1 no encrypted block may be written here, 2 it may.
    fn validity_at_position(&self) -> u8 {
        match self.medium.threaded() {
            Ok(cartridge) if self.quirks.mixing_refused.is_some() => {
                if cartridge.index().plain_before(self.medium.position()) {
                    1
                } else {
                    2
                }
            }
            _ => 0,
        }
    }
}

/// A page of protocol 20h: code, length, body.
fn page(page_code: u16, body: &[u8]) -> Vec<u8> {
    let mut page = page_code.to_be_bytes().to_vec();
    page.extend_from_slice(&u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
    page.extend_from_slice(body);
    page
}
