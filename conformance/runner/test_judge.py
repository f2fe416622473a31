"""The judge lets nothing pass that is only nearly so."""
import unittest

import checks
import judge


def verdict(step, seen, saved=None):
    return judge.holds(checks.step(step, "test"), seen if "error" in seen else {"is": seen["is"]}, saved or {})


class Judge(unittest.TestCase):
    def good(self, step, seen, saved=None):
        self.assertTrue(verdict(step, {"is": seen}, saved), f"{step}: {seen}")

    def bad(self, step, seen, saved=None):
        self.assertFalse(verdict(step, {"is": seen}, saved), f"{step}: {seen}")

    def test_values_are_of_their_type(self):
        self.good('get "k" => {"int": 7}', {"int": "7"})
        self.good('get "k" => {"int": 7}', {"number": "7.0"})
        self.bad('get "k" => {"int": 7}', {"long": "7"})
        self.bad('get "k" => {"int": 7}', {"number": "8"})
        self.bad('get "k" => {"int": 7}', "7")
        self.bad('get "k" => {"int": 7}', True)
        self.bad('get "k" => null', False)
        self.bad('get "k" => true', {"number": "1"})
        self.good('get "k" => {"ints": [1, 2]}', {"list": [{"number": "1"}, {"number": "2"}]})
        self.bad('get "k" => {"ints": [1, 2]}', {"longs": ["1", "2"]})
        self.bad('get "k" => {"ints": [1, 2]}', {"ints": [2, 1]})
        self.bad('get "k" => {"list": ["a"]}', {"strings": ["a"]})

    def test_times_are_the_same_however_written(self):
        self.good('get "k" => {"time": "12:34:56.007891"}', {"time": "12:34:56.007891000"})
        self.bad('get "k" => {"time": "12:34:56.007891"}', {"time": "12:34:56.007891001"})
        self.good('get "k" => {"offset": "2026-11-30T12:34:56.5+02:30"}', {"offset": "2026-11-30T12:34:56.500+02:30"})
        self.bad('get "k" => {"offset": "2026-11-30T12:34:56.5+02:30"}', {"offset": "2026-11-30T12:34:56.5+02:00"})

    def test_order_counts_where_it_says_something(self):
        self.good('keySet => ["a", "b"]', ["b", "a"])
        self.bad('keySet => ["a", "b"]', ["b", "b"])
        self.bad('keySet => ["a", "b"]', ["a", "b", "b"])
        self.bad('events "l" => ["a", "b"]', ["b", "a"])

    def test_an_event_has_what_it_should_and_no_more(self):
        step = 'events "l" => [{"type": "updated", "key": "k", "value": "v2", "old": "v1"}]'
        self.good(step, [{"type": "updated", "key": "k", "value": "v2", "old": "v1"}])
        self.bad(step, [{"type": "updated", "key": "k", "value": "v1", "old": "v2"}])
        self.bad(step, [{"type": "updated", "key": "k", "value": "v2"}])
        self.bad(step, [{"type": "updated", "key": "k", "value": "v2", "old": "v1", "merging": "x"}])

    def test_errors_are_named(self):
        step = 'unlock "k" => error IllegalMonitorState "not owner"'
        self.assertTrue(verdict(step, {"error": "java.lang.IllegalMonitorStateException", "says": "you are not owner"}))
        self.assertTrue(verdict(step, {"error": "IllegalMonitorStateError", "says": "not owner"}))
        self.assertFalse(verdict(step, {"error": "IllegalStateError", "says": "not owner"}))
        self.assertFalse(verdict(step, {"error": "IllegalMonitorStateError", "says": ""}))
        self.bad(step, None)
        self.assertFalse(verdict('get "k"', {"error": "AnyError", "says": ""}))

    def test_words_of_expectation(self):
        self.good('size => {"least": 3}', {"number": "3"})
        self.bad('size => {"least": 3}', {"number": "2"})
        self.bad('size => {"least": 3}', None)
        self.good('keySet => {"size": 2}', ["a", "b"])
        self.bad('keySet => {"size": 2}', ["a"])
        self.bad('keySet => {"apart from": "first"}', ["a"], {"first": ["a", "b"]})
        self.good('states => {"contains": "connected"}', ["started", "connected"])
        self.bad('states => {"contains": "connected"}', ["started"])
        self.bad("members => same first", ["b"], {"first": ["a"]})
        self.good("members => other first", ["b"], {"first": ["a"]})

    def test_the_list_is_read(self):
        ids = [check.id for check in checks.all_checks()]
        self.assertGreater(len(ids), 200)


if __name__ == "__main__":
    unittest.main()
