package proof

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/store"
)

// A type is satisfied by tokens of mails only, and a change of address by its own alone:
// else the proof of one address would be taken for that of another.
func TestPurposes(t *testing.T) {
	for _, kind := range []string{TypeSignUp, TypeInvite, TypeRecovery, TypeMagicLink, TypeEmail} {
		got := purposes(kind)
		require.NotEmpty(t, got)
		for _, p := range []store.Purpose{
			store.PurposeEmailChangeCurrent, store.PurposeEmailChangeNew, store.PurposeReauthentication,
			store.PurposePhoneChange, store.PurposePhoneConfirmation, store.PurposePhoneSignIn,
		} {
			require.NotContains(t, got, p, kind)
		}
	}
	require.Equal(t, []store.Purpose{store.PurposeEmailChangeCurrent, store.PurposeEmailChangeNew}, purposes(TypeEmailChange))
	for _, kind := range []string{"", "sms", "phone_change", "reauthentication", "Signup", "signup "} {
		require.Nil(t, purposes(kind))
	}
	// A confirmation signs nobody in under the name of a recovery.
	require.NotContains(t, purposes(TypeRecovery), store.PurposeConfirmation)
	require.NotContains(t, purposes(TypeSignUp), store.PurposeRecovery)
}

func TestEffective(t *testing.T) {
	require.Equal(t, TypeSignUp, effective(TypeEmail, TypeSignUp))
	require.Equal(t, TypeRecovery, effective(TypeRecovery, TypeMagicLink))
}

func TestSide(t *testing.T) {
	require.Equal(t, store.ChangeCurrent, side(store.PurposeEmailChangeCurrent))
	require.Equal(t, store.ChangeNew, side(store.PurposeEmailChangeNew))
}

// The counter that is undone is the one that was counted.
func TestCounted(t *testing.T) {
	require.Equal(t, mail.MagicLink, letter{kind: mail.Confirmation, purpose: store.PurposeMagicLink}.counted())
	require.Equal(t, mail.Confirmation, letter{kind: mail.Confirmation, purpose: store.PurposeConfirmation}.counted())
	require.Equal(t, mail.Recovery, letter{kind: mail.Recovery, purpose: store.PurposeRecovery}.counted())
}
