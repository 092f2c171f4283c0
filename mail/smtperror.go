package mail

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"

	gomail "github.com/wneessen/go-mail"
)

// explain makes the error of a failed delivery: where it failed and what the server said,
// without addresses and without the password.
func (s SMTP) explain(ctx context.Context, err error, m Message) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("mail: smtp %s: gave up: %w", s.address(), cause)
	}
	var (
		refused *gomail.SendError
		answer  *textproto.Error
		network net.Error
	)
	switch {
	case errors.As(err, &refused):
		text := fmt.Sprintf("smtp %s: %s", s.address(), s.redact(firstError(refused), m))
		if permanent(refused) {
			return fmt.Errorf("%w: %s", ErrPermanent, text)
		}
		return errors.New("mail: " + text)
	case errors.As(err, &answer):
		return fmt.Errorf("mail: smtp %s: %s", s.address(), s.redact(answer.Error(), m))
	case errors.As(err, &network):
		return fmt.Errorf("mail: smtp %s: can't connect: %s", s.address(), s.redact(err.Error(), m))
	}
	return fmt.Errorf("mail: smtp %s: %s", s.address(), s.redact(err.Error(), m))
}

// permanent reports whether the server refused this reader or this message for good. A
// refusal of the sender or of the sign-in is ours to mend: the mail can go out later.
func permanent(err *gomail.SendError) bool {
	switch err.Reason {
	case gomail.ErrSMTPRcptTo, gomail.ErrSMTPData, gomail.ErrSMTPDataClose:
	default:
		return false
	}
	code := err.ErrorCode()
	authentication := code == 530 || code == 534 || code == 535 || code == 538
	return code >= 500 && code <= 599 && !authentication
}

// firstError is the text of err without the lists that follow it.
func firstError(err *gomail.SendError) string {
	text, _, _ := strings.Cut(err.Error(), ", affected recipient(s):")
	text, _, _ = strings.Cut(text, ", affected message ID:")
	return text
}

// maxAnswer bounds what is kept of a server's words.
const maxAnswer = 300

// redact takes addresses and secrets out of a server's words.
func (s SMTP) redact(text string, m Message) string {
	for _, secret := range []string{s.Password, m.To} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[redacted]")
		}
	}
	words := strings.Fields(oneLine(text))
	for i, w := range words {
		if strings.Contains(w, "@") {
			words[i] = "[address]"
		}
	}
	text = strings.Join(words, " ")
	if len(text) > maxAnswer {
		text = strings.ToValidUTF8(text[:maxAnswer], "") + "…"
	}
	return text
}
