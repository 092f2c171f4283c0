package mail

import "strings"

// Kind is what a mail is about. Its text is also the name of the kind's template files.
type Kind string

// The kinds.
const (
	Confirmation     Kind = "confirmation"     // prove the address of a new account
	Invite           Kind = "invite"           // accept an invitation
	Recovery         Kind = "recovery"         // set a new password
	MagicLink        Kind = "magic_link"       // sign in
	EmailChange      Kind = "email_change"     // confirm a change of address
	Reauthentication Kind = "reauthentication" // confirm a sensitive change
	// AccountExists tells the owner of an address that somebody tried to sign up with
	// it again.
	AccountExists Kind = "account_exists"

	PasswordChanged     Kind = "password_changed_notification"
	EmailChanged        Kind = "email_changed_notification" // goes to the old address
	PhoneChanged        Kind = "phone_changed_notification"
	IdentityLinked      Kind = "identity_linked_notification"
	IdentityUnlinked    Kind = "identity_unlinked_notification"
	MFAFactorEnrolled   Kind = "mfa_factor_enrolled_notification"
	MFAFactorUnenrolled Kind = "mfa_factor_unenrolled_notification"
)

// KindInfo is what there is to know about a kind of mail.
type KindInfo struct {
	Kind Kind
	// Key is the part of a configuration key that names the kind: "MAGIC_LINK" in
	// MAILER_SUBJECTS_MAGIC_LINK.
	Key string
	// Subject is the built-in subject in English, a text/template.
	Subject string
	// LinkType is the type parameter of the kind's link; "" for a mail without a link
	// that proves something.
	LinkType string
	// Code says whether the mail shows a code.
	Code bool
	// Notification says that the mail reports what has already happened.
	Notification bool
}

// Kinds gives all kinds, each with what there is to know about it, always in the same
// order.
func Kinds() []KindInfo {
	kinds := []KindInfo{
		{Kind: Confirmation, Subject: "Confirm your email address", LinkType: "signup", Code: true},
		{Kind: Invite, Subject: "You've been invited", LinkType: "invite", Code: true},
		{Kind: Recovery, Subject: "Reset your password", LinkType: "recovery", Code: true},
		{Kind: MagicLink, Subject: "Your sign-in link", LinkType: "magiclink", Code: true},
		{Kind: EmailChange, Subject: "Confirm your new email address", LinkType: "email_change", Code: true},
		{Kind: Reauthentication, Subject: "{{ .Token }} is your verification code", Code: true},
		{Kind: AccountExists, Subject: "You already have an account"},
		{Kind: PasswordChanged, Subject: "Your password was changed", Notification: true},
		{Kind: EmailChanged, Subject: "Your email address was changed", Notification: true},
		{Kind: PhoneChanged, Subject: "Your phone number was changed", Notification: true},
		{Kind: IdentityLinked, Subject: "A new sign-in method was linked to your account", Notification: true},
		{Kind: IdentityUnlinked, Subject: "A sign-in method was removed from your account", Notification: true},
		{Kind: MFAFactorEnrolled, Subject: "A new verification method was added to your account", Notification: true},
		{Kind: MFAFactorUnenrolled, Subject: "A verification method was removed from your account", Notification: true},
	}
	for i := range kinds {
		kinds[i].Key = strings.ToUpper(string(kinds[i].Kind))
	}
	return kinds
}

// Info gives what there is to know about k, and whether it is a kind at all.
func (k Kind) Info() (KindInfo, bool) {
	for _, info := range Kinds() {
		if info.Kind == k {
			return info, true
		}
	}
	return KindInfo{}, false
}
