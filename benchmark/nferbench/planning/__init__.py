"""From words to stages: what there is to do, what is done already, what the rest costs, what a report needs to know."""
