//! The list of this crate's tables, for maintenance that treats all tables alike.

use nexus_event_store::table_list::TableInfo;

use crate::{
    mail::MailQueue,
    mail_proofs::{MailProofs, MailTokens},
    profile_fields::ProfileFields,
    second_factor::SecondFactors,
    tables::{
        AccessTokens, AccountData, AccountRows, Applications, Departures, Devices, Emails, Erased, Filters,
        FirstAccount, GatewaySessions, OwnedApplications, Profiles, RefreshTokens, RegistrationTokens,
        UserDevices,
    },
};

/// The tables of this crate.
#[must_use]
pub fn tables() -> Vec<TableInfo> {
    vec![
        TableInfo::of::<ProfileFields>(),
        TableInfo::of::<SecondFactors>(),
        TableInfo::of::<AccountRows>(),
        TableInfo::of::<Emails>(),
        TableInfo::of::<Devices>(),
        TableInfo::of::<UserDevices>(),
        TableInfo::of::<AccessTokens>(),
        TableInfo::of::<RefreshTokens>(),
        TableInfo::of::<FirstAccount>(),
        TableInfo::of::<Profiles>(),
        TableInfo::of::<AccountData>(),
        TableInfo::of::<Filters>(),
        TableInfo::of::<Applications>(),
        TableInfo::of::<OwnedApplications>(),
        TableInfo::of::<GatewaySessions>(),
        TableInfo::of::<RegistrationTokens>(),
        TableInfo::of::<MailProofs>(),
        TableInfo::of::<MailTokens>(),
        TableInfo::of::<MailQueue>(),
        TableInfo::of::<Departures>(),
        TableInfo::of::<Erased>(),
    ]
}
