package store

import "context"

// Scan counts the newest messages that contain a text by looking at each: what
// a search costs without an index.
func (s *Store) Scan(ctx context.Context, text string, limit int) (n int, err error) {
	err = s.reader.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT id FROM messages WHERE text LIKE '%' || ? || '%' ORDER BY id DESC LIMIT ?)`, text, limit).Scan(&n)
	return n, err
}
