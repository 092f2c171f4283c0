package mail_test

import (
	"context"
	"fmt"
	"testing/fstest"

	"github.com/truekeel/auth/mail"
)

// A mail in the reader's language, with a subject of the host's own.
func ExampleRenderer() {
	r, err := mail.NewRenderer(mail.RendererConfig{
		Templates: map[mail.Kind]mail.Template{mail.MagicLink: {Subject: "Acme: {{ .Token }}"}},
		FS: fstest.MapFS{
			"invite.html":    {Data: []byte(`<p><a href="{{ .ConfirmationURL }}">Join Acme</a></p>`)},
			"invite.fr.html": {Data: []byte(`<p><a href="{{ .ConfirmationURL }}">Rejoindre Acme</a></p>`)},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := r.Render(context.Background(), mail.Event{
		Kind: mail.Invite, To: "ada@example.com", Locale: "fr-CA,en;q=0.5",
		ConfirmationURL: "https://acme.example/auth/verify?token=abc&type=invite",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Subject)
	fmt.Print(m.Text)
	// Output:
	// Vous avez reçu une invitation
	// Rejoindre Acme: https://acme.example/auth/verify?token=abc&type=invite
}

// A mailbox shows a test what a person would do with a mail.
func ExampleMailbox() {
	var box mail.Mailbox
	_ = box.Send(context.Background(), mail.Message{
		Kind: mail.Confirmation, To: "ada@example.com", Subject: "Confirm",
		Text: "Follow https://acme.example/auth/verify?token=abc or enter 123456.",
	})
	m, ok := box.Last("ada@example.com")
	fmt.Println(ok, m.Link(), m.Code())
	// Output:
	// true https://acme.example/auth/verify?token=abc 123456
}

// Any function can deliver.
func ExampleFunc() {
	var mailer mail.Mailer = mail.Func(func(_ context.Context, m mail.Message) error {
		fmt.Println(m.To, m.Subject)
		return nil
	})
	_ = mailer.Send(context.Background(), mail.Message{To: "ada@example.com", Subject: "Hello"})
	// Output:
	// ada@example.com Hello
}
