package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A list is asked for by full pages, to the last row and no further.
func TestPages(t *testing.T) {
	for _, c := range []struct {
		most, rows int
		sizes      []int
	}{
		{50, 2500, []int{50}},
		{50, 7, []int{50}},
		{1000, 2500, []int{1000}},
		{1500, 2500, []int{1000, 500}},
		{0, 2500, []int{1000, 1000, 1000}},
		{0, 2000, []int{1000, 1000, 1000}},
		{0, 0, []int{1000}},
	} {
		var sizes []int
		left := c.rows
		require.NoError(t, pages(c.most, func(size int) (int, error) {
			sizes = append(sizes, size)
			n := min(size, left)
			left -= n
			return n, nil
		}))
		require.Equal(t, c.sizes, sizes, "%d of %d", c.most, c.rows)
	}
}
