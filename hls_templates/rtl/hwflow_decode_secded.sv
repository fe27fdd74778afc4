// Decoder of SECDED (72,64): corrects a single error of a stored word, detects a double one.
//
//   W_W         weight code; a word holds K = 64/W_W weights, weight l at bits [l*W_W +: W_W]
//   ON_DOUBLE   what an error that is detected but not corrected leaves: 0 zeros for all weights of the word,
//               1 the weights as they are stored
//
// Check bit r of the 8 is bit K*W_W+r. The code is M. Y. Hsiao's (IBM J. Res. Dev. 14(4), 1970), whose columns of the
// parity-check matrix are distinct bytes of odd weight: for the data bits the 56 bytes of weight 3 in ascending
// order, then the 8 rotations of 8'h1f; for check bit r 1 << r. With fewer than 64 data bits the matrix loses
// the columns of the rest. A syndrome that is the column of a bit flips that bit; any other one but 0 is an error
// detected. Three errors and more may look like one, and are miscorrected.
//
// corrected_o   with data_o: the word had an error that was corrected. uncorrectable_o: one that was detected and not
//
// Timing: 2 cycles with en_i, a word a cycle; first the syndrome, then the correction. data_o holds without en_i.

`default_nettype none

module hwflow_decode_secded #(
    parameter int W_W       = 8,
    parameter int ON_DOUBLE = 0,
    localparam int DATA_W   = (64 / W_W) * W_W
) (
    input  wire               clk_i,
    input  wire               en_i,
    input  wire  [DATA_W+7:0] data_i,
    output logic [DATA_W-1:0] data_o,
    output logic              corrected_o,
    output logic              uncorrectable_o
);

    if (W_W < 1 || W_W > 64) begin : gen_error_width
        initial $fatal(1, "hwflow_decode_secded: W_W (%0d) must be 1 to 64", W_W);
    end
    if (ON_DOUBLE < 0 || ON_DOUBLE > 1) begin : gen_error_policy
        initial $fatal(1, "hwflow_decode_secded: ON_DOUBLE (%0d) must be 0 or 1", ON_DOUBLE);
    end

    // Column i of the data bits at bits [8*i +: 8]
    function automatic logic [511:0] data_columns();
        int count, ones;
        data_columns = '0;
        count = 0;
        for (int value = 0; value < 256; value++) begin
            ones = 0;
            for (int r = 0; r < 8; r++) ones = ones + ((value >> r) & 1);
            if (ones == 3) begin
                data_columns[8*count+:8] = 8'(value);
                count = count + 1;
            end
        end
        for (int turn = 0; turn < 8; turn++) data_columns[8*(56+turn)+:8] = 8'((31 << turn) | (31 >> (8 - turn)));
    endfunction

    localparam logic [511:0] COLUMNS = data_columns();

    // Bit s: syndrome s is neither 0 nor a column
    function automatic logic [255:0] detected_syndromes();
        detected_syndromes = {256{1'b1}};
        detected_syndromes[0] = 1'b0;
        for (int r = 0; r < 8; r++) detected_syndromes[1<<r] = 1'b0;
        for (int i = 0; i < DATA_W; i++) detected_syndromes[COLUMNS[8*i+:8]] = 1'b0;
    endfunction

    localparam logic [255:0] DETECTED = detected_syndromes();

    // --- Stage 1: the syndrome.

    wire [7:0] syndrome;
    logic [7:0] syndrome_reg;
    logic [DATA_W-1:0] data_reg;

    for (genvar r = 0; r < 8; r++) begin : gen_check
        wire [DATA_W-1:0] covered;
        for (genvar i = 0; i < DATA_W; i++) begin : gen_bit
            assign covered[i] = data_i[i] & COLUMNS[8*i+r];
        end
        assign syndrome[r] = ^{covered, data_i[DATA_W+r]};
    end

    always_ff @(posedge clk_i) begin
        if (en_i) begin
            syndrome_reg <= syndrome;
            data_reg     <= data_i[DATA_W-1:0];
        end
    end

    // --- Stage 2: the correction.

    wire [DATA_W-1:0] hit;
    wire detected = DETECTED[syndrome_reg];
    wire null_word = ON_DOUBLE == 0 && detected;

    for (genvar i = 0; i < DATA_W; i++) begin : gen_hit
        assign hit[i] = syndrome_reg == COLUMNS[8*i+:8];
    end

    always_ff @(posedge clk_i) begin
        if (en_i) begin
            data_o          <= null_word ? '0 : data_reg ^ hit;
            corrected_o     <= syndrome_reg != '0 && !detected;
            uncorrectable_o <= detected;
        end
    end

endmodule

`default_nettype wire
